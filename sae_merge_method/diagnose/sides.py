"""Target and controls as they are encoded: matched, numbered by source, searched for what misleads.

What is wrong with the texts but can be gone on with is a warning here, and a number in the diagnosis.
"""

import hashlib
import logging
from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np

from sae_merge_method.artifacts import diagnosis as records
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.duplicates import Repeats, count_repeated, find_repeats
from sae_merge_method.corpora.matching import Side, length_gap, match_sides, number_sources
from sae_merge_method.corpora.token_classes import shares_of_tokens
from sae_merge_method.corpora.tokens import Document

logger = logging.getLogger(__name__)

UNLIKE = 0.1
"""Lengths of two sides that are further apart than that share of their mean are warned of."""
FEW_SOURCES = 10
"""With fewer sources on a side an interval from resampling them is too narrow."""


class Sides(NamedTuple):
    """All documents to encode, and what the diagnosis says of them."""

    documents: tuple[Document, ...]
    """Target's first, then each control's, in file order."""
    labels: Documents
    """Which corpus and source each of them is from."""
    corpora: tuple[records.Corpus, ...]
    """Target and controls."""
    twins: tuple[tuple[Document, ...], ...] = ()
    """Of the target's documents, by twin."""

    @property
    def encoded(self) -> tuple[Document, ...]:
        """All documents that are encoded: those of all sides, then every twin's."""
        return (*self.documents, *(document for twin in self.twins for document in twin))

    def sha256(self) -> str:
        """Tells what is encoded from anything else: which tokens, which of them count, and their classes.

        Chunks are of documents by number, and batches by length: where one text is tokenized, masked, matched
        or shuffled otherwise, the same number is another document.
        """
        whole = hashlib.sha256()
        for document in self.encoded:
            for array in (document.ids, document.counted, document.counted_classes):
                whole.update(len(array).to_bytes(8, "little"))
                whole.update(np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()

    def of(self, side: int) -> tuple[Document, ...]:
        """The documents of one side."""
        return tuple(self.documents[nth] for nth in np.flatnonzero(self.labels.side == side))


def prepare_sides(corpora: Sequence[Corpus], taken: Sequence[Sequence[Document]], *, match: bool) -> Sides:
    """Match the sides, unless that is not wanted, and count what repeats.

    Args:
        corpora: The target, then the controls.
        taken: What was tokenized of each.
        match: Whether to crop them to one number and length of documents.
    """
    read = [
        Side(tuple(documents), number_sources(documents, corpus.sources))
        for corpus, documents in zip(corpora, taken, strict=True)
    ]
    kept = match_sides(read) if match else tuple(read)
    labels = _labels(kept)
    described = _describe(corpora, read, kept, labels)
    _warn(described, kept, matched=match)
    _warn_of_sources_on_both_sides(corpora, kept)
    return Sides(tuple(document for side in kept for document in side.documents), labels, described)


def _labels(sides: Sequence[Side]) -> Documents:
    numbers = [int(side.sources.max()) + 1 for side in sides]
    starts = np.cumsum([0, *numbers[:-1]])
    return Documents(
        side=np.repeat(np.arange(len(sides)), [len(side.documents) for side in sides]),
        source=np.concatenate([start + side.sources for start, side in zip(starts, sides, strict=True)]),
    )


def _describe(
    corpora: Sequence[Corpus], read: Sequence[Side], kept: Sequence[Side], labels: Documents
) -> tuple[records.Corpus, ...]:
    repeats = find_repeats(_uncropped(read, kept))
    _warn_of_shared(corpora, repeats, labels)
    described = []
    for number, (corpus, before, after) in enumerate(zip(corpora, read, kept, strict=True)):
        side = labels.side == number
        exact = count_repeated(repeats.exact[side], labels.source[side])
        described.append(
            records.Corpus(
                name=corpus.name,
                sha256=corpus.sha256,
                documents=len(after.documents),
                sources=None if corpus.sources is None else int(after.sources.max()) + 1,
                tokens=int(after.lengths.sum()),
                documents_read=len(before.documents),
                tokens_read=int(before.lengths.sum()),
                exact_duplicates=exact,
                near_duplicates=count_repeated(repeats.near[side], labels.source[side]) - exact,
                own_first=sum(document.own_first for document in after.documents),
                class_shares=shares_of_tokens(after.documents),
            )
        )
    return tuple(described)


def _uncropped(read: Sequence[Side], kept: Sequence[Side]) -> list[Document]:
    """The documents kept, as they were before they were cropped: short crops may agree by chance."""
    whole = []
    for before, after in zip(read, kept, strict=True):
        by_position = {document.position: document for document in before.documents}
        whole += [by_position[document.position] for document in after.documents]
    return whole


def _warn_of_shared(corpora: Sequence[Corpus], repeats: Repeats, labels: Documents) -> None:
    for control in labels.controls:
        shared = np.isin(repeats.near[labels.side == control], repeats.near[labels.is_target]).sum()
        if shared:
            logger.warning(
                "%d documents of %s say nearly the same as one of %s: the score cannot tell them apart",
                shared, corpora[control].name, corpora[0].name,
            )  # fmt: skip


def _warn_of_sources_on_both_sides(corpora: Sequence[Corpus], kept: Sequence[Side]) -> None:
    """A source's documents are alike, so both sides are more alike than chance has it, and p is too large."""
    named = [
        {corpus.sources[document.position] for document in side.documents} - {None}
        if corpus.sources
        else set()
        for corpus, side in zip(corpora, kept, strict=True)
    ]
    for corpus, names in zip(corpora[1:], named[1:], strict=True):
        shared = named[0] & names
        if shared:
            logger.warning(
                "%d sources have documents in both %s and %s and count once on either side: p errs on the "
                "safe side, and the interval is too wide",
                len(shared), corpora[0].name, corpus.name,
            )  # fmt: skip


def _warn(corpora: Sequence[records.Corpus], kept: Sequence[Side], *, matched: bool) -> None:
    for corpus, side in zip(corpora, kept, strict=True):
        if corpus.exact_duplicates or corpus.near_duplicates:
            logger.warning(
                "%s: of %d documents %d repeat one of another source word for word, and %d nearly: p and "
                "interval take them for independent and are too sure (--group-field names their source)",
                corpus.name, corpus.documents, corpus.exact_duplicates, corpus.near_duplicates,
            )  # fmt: skip
        sources = int(side.sources.max()) + 1
        if sources < FEW_SOURCES:
            logger.warning(
                "%s: %d sources are too few for an interval to hold, and no p can be below %.2g",
                corpus.name, sources, _least_p(kept, side),
            )  # fmt: skip
        if matched and corpus.tokens < corpus.tokens_read / 2:
            logger.warning(
                "%s: %d of %d documents and %s of %s tokens are left once all sides are matched in number "
                "and length",
                corpus.name, corpus.documents, corpus.documents_read,
                f"{corpus.tokens:,}", f"{corpus.tokens_read:,}",
            )  # fmt: skip
    for corpus, side in zip(corpora[1:], kept[1:], strict=True):
        if length_gap(kept[0].lengths, side.lengths) > UNLIKE:
            logger.warning(
                "documents have %.0f tokens in %s and %.0f in %s: what differs in length scores as if it "
                "differed in content (without --no-match they are cropped to one length)",
                corpora[0].tokens_a_document, corpora[0].name, corpus.tokens_a_document, corpus.name,
            )  # fmt: skip


def _least_p(kept: Sequence[Side], side: Side) -> float:
    """One over the ways to give as many sources of two sides the target's label: what shuffles can tell
    apart."""
    of_target, of_side = (int(one.sources.max()) + 1 for one in (kept[0], side))
    others = int(kept[1].sources.max()) + 1 if side is kept[0] else of_side
    return 1 / comb(of_target + others, of_target)
