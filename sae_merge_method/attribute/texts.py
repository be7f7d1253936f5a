"""The texts that losses are taken on, in groups whose sums are kept apart: intervals are told from them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.attribute.settings import AttributeSettings
from sae_merge_method.corpora.batches import Batch, make_batches
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.matching import number_sources
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.in_memory.texts import to_predict
from sae_merge_method.loaded.text_model import TextModel


class Text(NamedTuple):
    """One text as it is read."""

    name: str
    """As the user wrote it."""
    sha256: str
    documents: int
    """That have a token to predict."""
    answers: bool
    """Whether answers alone are predicted, each after its prompt."""
    groups: tuple[tuple[Batch, ...], ...]
    """Batches of each group of sources, for what is told of a group as a whole: slopes."""
    whole: tuple[Batch, ...]
    """Batches of all documents, for what is told of each of them."""
    group: npt.NDArray[np.intp]
    """(documents,) number of each document's group."""
    tokens: npt.NDArray[np.int64]
    """(G,) predicted tokens of each group."""

    @property
    def batches(self) -> int:
        """Passes that it takes to read it once, group by group."""
        return sum(map(len, self.groups))


def make_text(corpus: Corpus, model: TextModel, settings: AttributeSettings) -> Text:
    """Tokenize a corpus and deal its sources out to groups, one after another.

    Raises:
        CorpusError: It has no token to predict.
    """
    documents = to_predict(
        model.tokenizer,
        corpus,
        min(settings.max_length, model.context),
        settings.max_tokens,
        in_chat=settings.apply_chat_template,
    )
    sources = number_sources(documents, corpus.sources)
    group = sources % min(settings.groups, int(sources.max()) + 1)
    dealt = [_of_group(documents, np.flatnonzero(group == nth)) for nth in range(int(group.max()) + 1)]
    return Text(
        corpus.name,
        corpus.sha256,
        len(documents),
        corpus.problems is not None,
        tuple(tuple(make_batches(of_group, settings.batch_tokens)) for of_group in dealt),
        tuple(make_batches(documents, settings.batch_tokens)),
        group,
        np.array([sum(int(one.counted.sum()) for one in of_group) for of_group in dealt], dtype=np.int64),
    )


def _of_group(documents: Sequence[Document], chosen: Sequence[int] | npt.NDArray[np.int64]) -> list[Document]:
    return [documents[nth] for nth in chosen]
