"""Texts in three parts that share none: to search on, to choose on, and to report on.

Which part a text is in is decided by its hash, or its source's, and by nothing else: more texts move none of
those that were there, and the same text is never in two parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

from sae_merge_method.corpora.batches import Batch, make_batches
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.errors import CorpusError
from sae_merge_method.in_memory.texts import to_predict
from sae_merge_method.loaded.text_model import TextModel

SEARCH, CHOICE, REPORT = "search", "choice", "report"
SPLITS = {SEARCH: 0.5, CHOICE: 0.25, REPORT: 0.25}
"""Share of the texts in each part."""
HELD_BACK = {CHOICE: 0.5, REPORT: 0.5}
"""The same of problems that nothing is searched on."""
FEWEST = 2
"""Texts of a part: one alone has no spread."""


class Side(NamedTuple):
    """The texts of one corpus in one part, as the model reads them."""

    name: str
    documents: tuple[Document, ...]
    batches: tuple[Batch, ...]

    @property
    def tokens(self) -> tuple[int, ...]:
        """Of each text, those that are predicted."""
        return tuple(int(document.counted.sum()) for document in self.documents)


class Split(NamedTuple):
    """One part of all corpora."""

    name: str
    target: Side
    controls: tuple[Side, ...]

    @property
    def sides(self) -> tuple[Side, ...]:
        """Target first."""
        return self.target, *self.controls


def split_of(text: str, shares: Mapping[str, float] = SPLITS) -> str:
    """The part that a text, or a source's name, is in; white space does not count."""
    digest = sha256(" ".join(text.split()).encode()).digest()
    at, end = int.from_bytes(digest[:8], "big") / 2**64, 0.0
    for name, share in shares.items():
        end += share
        if at < end:
            return name
    return REPORT


def divide(corpus: Corpus) -> dict[str, Corpus]:
    """A corpus by part.

    Raises:
        CorpusError: A part has less than two texts.
    """
    sources = corpus.sources or [None] * len(corpus.documents)
    named = zip(corpus.documents, sources, strict=True)
    of_each = [split_of(text if source is None else source) for text, source in named]
    by_part = {}
    for name in SPLITS:
        rows = [row for row, part in enumerate(of_each) if part == name]
        if len(rows) < FEWEST:
            raise CorpusError(
                f"the {name} part of {corpus.name} has {len(rows)} of its {len(corpus.documents)} texts, "
                f"and takes {FEWEST} at least: texts are divided by their hash, so that none is searched "
                "and judged on; more texts are needed"
            )
        by_part[name] = replace(
            corpus,
            documents=tuple(corpus.documents[row] for row in rows),
            sources=None,
            problems=tuple(corpus.problems[row] for row in rows) if corpus.problems is not None else None,
        )
    return by_part


def make_splits(
    model: TextModel,
    target: Corpus,
    controls: Sequence[Corpus],
    max_length: int,
    tokens_per_batch: int,
    *,
    in_chat: bool = False,
) -> dict[str, Split]:
    """Every part, tokenized.

    Args:
        model: Whose tokens.
        target: The problems.
        controls: Text that shows damage.
        max_length: Longest text in tokens.
        tokens_per_batch: Tokens that go through the model together.
        in_chat: Put prompts of problems into a user's turn of the chat template.

    Raises:
        CorpusError: A part has less than two texts with a token to predict.
    """
    length = min(max_length, model.context)
    divided = [divide(corpus) for corpus in (target, *controls)]

    def side(corpus: Corpus, name: str) -> Side:
        documents = to_predict(
            model.tokenizer, corpus, length, in_chat=in_chat and corpus.problems is not None
        )
        if len(documents) < FEWEST:
            raise CorpusError(
                f"the {name} part of {corpus.name} has one text with a token to predict, expected two"
            )
        return Side(corpus.name, documents, tuple(make_batches(documents, tokens_per_batch)))

    return {
        name: Split(name, side(divided[0][name], name), tuple(side(one[name], name) for one in divided[1:]))
        for name in SPLITS
    }


def in_groups(side: Side, tokens: int) -> list[tuple[Batch, ...]]:
    """The texts of a side in groups of about so many tokens, each with short and long ones, for steps of
    gradient.

    Texts keep their numbers; a group's batches are within ``tokens``, padding included.
    """
    order = sorted(
        range(len(side.documents)), key=lambda nth: sha256(side.documents[nth].ids.tobytes()).digest()
    )
    groups: list[list[int]] = [[]]
    size = 0
    for nth in order:
        length = len(side.documents[nth].ids)
        if groups[-1] and size + length > tokens:
            groups.append([])
            size = 0
        groups[-1].append(nth)
        size += length
    return [
        tuple(
            batch._replace(documents=tuple(members[nth] for nth in batch.documents))
            for batch in make_batches([side.documents[nth] for nth in members], tokens)
        )
        for members in groups
    ]
