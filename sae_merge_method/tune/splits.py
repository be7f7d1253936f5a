"""Texts in three parts that share none: to search on, to choose on, and to report on.

Which part a text is in is decided by its hash, or its source's, and by nothing else: more texts move none of
those that were there, and the same text is never in two parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple, TypeVar

from sae_merge_method.corpora.batches import Batch, make_batches
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.matching import number_sources
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
"""Texts of a part, or their sources: one alone has no spread."""

Amount = TypeVar("Amount", int, float)


class Side(NamedTuple):
    """The texts of one corpus in one part, as the model reads them."""

    name: str
    documents: tuple[Document, ...]
    batches: tuple[Batch, ...]
    sources: tuple[int, ...] | None = None
    """Number of each text's source; None where no field says it, and each text is its own."""

    @property
    def tokens(self) -> tuple[int, ...]:
        """Of each source, those that are predicted."""
        return self.by_source([int(document.counted.sum()) for document in self.documents])

    def by_source(self, amounts: Sequence[Amount]) -> tuple[Amount, ...]:
        """What texts come to, summed by source: chunks of one page do not vary by themselves, so intervals
        and tests are over these.

        Args:
            amounts: Of every text.
        """
        if self.sources is None:
            return tuple(amounts)
        sums: dict[int, Amount] = {}
        for source, amount in zip(self.sources, amounts, strict=True):
            sums[source] = sums[source] + amount if source in sums else amount
        return tuple(sums.values())


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
        CorpusError: A part has less than two texts, or texts of less than two sources.
    """
    what = "texts" if corpus.sources is None else "sources"
    sources = corpus.sources or [None] * len(corpus.documents)
    named = zip(corpus.documents, sources, strict=True)
    of_each = [split_of(text if source is None else source) for text, source in named]
    # One without a name is a source of its own.
    numbers = [row if source is None else source for row, source in enumerate(sources)]
    by_part = {}
    for name in SPLITS:
        rows = [row for row, part in enumerate(of_each) if part == name]
        found = len({numbers[row] for row in rows})
        if found < FEWEST:
            raise CorpusError(
                f"the {name} part of {corpus.name} has {found} of its {len(set(numbers))} {what}, "
                f"and takes {FEWEST} at least: {what} are divided by their hash, so that none is searched "
                f"and judged on; more {what} are needed"
            )
        by_part[name] = replace(
            corpus,
            documents=tuple(corpus.documents[row] for row in rows),
            sources=tuple(corpus.sources[row] for row in rows) if corpus.sources is not None else None,
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
        CorpusError: A part has less than two texts with a token to predict, or they are of one source.
    """
    length = min(max_length, model.context)
    divided = [divide(corpus) for corpus in (target, *controls)]

    def side(corpus: Corpus, name: str) -> Side:
        documents = to_predict(
            model.tokenizer, corpus, length, in_chat=in_chat and corpus.problems is not None
        )
        sources, what = None, "text"
        if corpus.sources is not None:
            sources, what = tuple(number_sources(documents, corpus.sources).tolist()), "source"
        made = Side(corpus.name, documents, tuple(make_batches(documents, tokens_per_batch)), sources)
        if len(made.tokens) < FEWEST:
            raise CorpusError(
                f"the {name} part of {corpus.name} has one {what} with a token to predict, expected two"
            )
        return made

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
