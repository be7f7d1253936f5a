"""Sides made comparable: as many sources, documents and tokens a document on one as on the other.

A usage distribution over few or short documents is noisier than one over many long ones, and tokens late in a
document are used differently from early ones: a score reads both as a difference of the texts. So every side
is cut down to what all of them have, and nothing is added.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.corpora.tokens import Document

Integers = npt.NDArray[np.int64]


class Side(NamedTuple):
    """The documents of one corpus, and of which source each is."""

    documents: tuple[Document, ...]
    sources: Integers
    """(N,) number of each document's source, from 0; one a document where no sources are known."""

    @property
    def lengths(self) -> Integers:
        """(N,) counted tokens of each document."""
        return np.array([document.counted.sum() for document in self.documents], dtype=np.int64)


def number_sources(documents: Sequence[Document], names: Sequence[str | None] | None) -> Integers:
    """(N,) the source of each document as a number, in order of appearance.

    Args:
        documents: What was taken of a corpus.
        names: The source of each document of the whole corpus, None for one of its own; None for all.
    """
    if names is None:
        return np.arange(len(documents))
    numbers: dict[str | int, int] = {}
    keys = [names[document.position] for document in documents]
    return np.array(
        [numbers.setdefault(nth if key is None else key, len(numbers)) for nth, key in enumerate(keys)]
    )


def match_sides(sides: Sequence[Side]) -> tuple[Side, ...]:
    """Crop all sides to the same number of sources, the same documents a source and the same lengths.

    Sources are matched by quantile of their number of documents, then documents by quantile of their
    length; of each match the smallest is what all keep. Documents keep their first counted tokens, in file
    order. Sides that already match stay as they are.

    Args:
        sides: Of any sizes, each with at least one document.
    """
    count = min(int(side.sources.max()) + 1 for side in sides)
    by_size = [_spread(_sources_by_size(side), count) for side in sides]
    documents_of = [
        [np.flatnonzero(side.sources == nth) for nth in chosen]
        for side, chosen in zip(sides, by_size, strict=True)
    ]
    sizes = [min(map(len, matched)) for matched in zip(*documents_of, strict=True)]
    kept = [
        [_by_length(side, documents, size) for documents, size in zip(of_side, sizes, strict=True)]
        for side, of_side in zip(sides, documents_of, strict=True)
    ]
    thinned = [_keep(side, np.sort(np.concatenate(chosen))) for side, chosen in zip(sides, kept, strict=True)]
    common = np.min([np.sort(side.lengths) for side in thinned], axis=0)
    return tuple(_crop(side, common) for side in thinned)


def length_gap(one: Integers, other: Integers) -> float:
    """How far two sides' lengths are apart, as a share of their mean: 0 for one distribution.

    The area between the quantile functions (Wasserstein's first distance) over the mean length of both sides.

    Args:
        one: (N,) tokens of each document.
        other: (M,) of the other side's.
    """
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(one, other)) / float((one.mean() + other.mean()) / 2)


def _sources_by_size(side: Side) -> Integers:
    """Sources by number of documents, then by tokens, then as they come."""
    documents = np.bincount(side.sources)
    tokens = np.bincount(side.sources, weights=side.lengths)
    return np.lexsort((np.arange(len(documents)), tokens, documents))


def _by_length(side: Side, documents: Integers, count: int) -> Integers:
    """``count`` of these documents, spread evenly over their lengths."""
    return _spread(documents[np.argsort(side.lengths[documents], kind="stable")], count)


def _spread(ordered: Integers, count: int) -> Integers:
    """``count`` entries at even distances: the middles of as many equal parts."""
    return ordered[((2 * np.arange(count) + 1) * len(ordered)) // (2 * count)]


def _keep(side: Side, chosen: Integers) -> Side:
    sources = np.unique(side.sources[chosen], return_inverse=True)[1]
    return Side(tuple(side.documents[nth] for nth in chosen), sources)


def _crop(side: Side, common: Integers) -> Side:
    """The n-th shortest document cut to the n-th common length."""
    lengths = np.empty_like(common)
    lengths[np.argsort(side.lengths, kind="stable")] = common
    cut = (document.cut(int(length)) for document, length in zip(side.documents, lengths, strict=True))
    return side._replace(documents=tuple(cut))
