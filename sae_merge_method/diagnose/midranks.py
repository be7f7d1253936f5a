"""Ranks of documents by their usage of a feature, ties sharing the mean of their ranks.

Most documents do not use most features: only what is used is sorted, and the zeros share one rank. Documents
of several parts, such as halves, are ranked each within its own in one sort.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

AT_ONCE = 20_000
"""Entries that are sorted together, of whole features: so few that they stay near the processor."""

_VALUE_BITS = 16

Integers = npt.NDArray[np.integer]


class Use(NamedTuple):
    """What documents use of some features, feature by feature."""

    starts: Integers
    """(a + 1,) where the entries of each feature begin."""
    document: Integers
    """(nnz,) which document."""
    values: npt.NDArray[np.float16]
    """(nnz,) at least 0."""
    n_documents: int
    """N, in all."""


def midranks(
    use: Use, parts: Sequence[Integers], kind: type[np.floating] = np.float64
) -> list[npt.NDArray[np.floating]]:
    """Ranks of documents among those of their part.

    Args:
        use: What is used; what has no entry is 0.
        parts: (n,) documents of each, none of them in two.
        kind: Precision of the ranks.

    Returns:
        By part (a, n), in the order of its documents, the rank of each within its row, from 1, as
        ``scipy.stats.rankdata`` has it.
    """
    wanted = np.concatenate(parts)
    part_bits, place_bits = (len(parts) - 1).bit_length(), len(wanted).bit_length()
    # Parts of no documents fill them up to a power of two: a feature's rows then are numbered by bits.
    sizes = np.zeros(1 << part_bits, dtype=np.int64)
    sizes[: len(parts)] = [len(part) for part in parts]
    # A document's part above the bits of a value, its place among all documents of the parts below them.
    places = np.full(use.n_documents, -1)
    places[wanted] = np.arange(len(wanted))
    places[wanted] |= np.repeat(np.arange(len(sizes)), sizes) << (_VALUE_BITS + place_bits)
    ranks = np.empty((len(use.starts) - 1, len(wanted)), dtype=kind)
    start = 0
    while start < len(ranks):
        full = int(np.searchsorted(use.starts, use.starts[start] + AT_ONCE, side="right")) - 1
        stop = max(start + 1, full)
        _rank(use, places, sizes, start, ranks[start:stop])
        start = stop
    return np.split(ranks, np.cumsum(sizes)[: len(parts) - 1], axis=1)


def _rank(use: Use, places: Integers, sizes: Integers, start: int, ranks: npt.NDArray[np.floating]) -> None:
    """Fill in the ranks of some features.

    Args:
        use: Of all features.
        places: (N,) part and place of each document, below 0 for one that is not ranked.
        sizes: (p,) documents of each part; as many parts as a power of two.
        start: The first feature.
        ranks: (a, n) of these features, to be filled in.
    """
    a, n = ranks.shape
    part_bits, place_bits = (len(sizes) - 1).bit_length(), n.bit_length()
    bounds = use.starts[start : start + a + 1]
    entries = slice(bounds[0], bounds[-1])
    # One sort by feature, part, value and place: bits of float16 from 0 on are in the order of the numbers.
    bits = use.values[entries].view(np.uint16)
    keys = bits.astype(np.int64)
    keys <<= place_bits
    keys |= places[use.document[entries]]
    keys |= np.repeat(np.arange(a) << (part_bits + _VALUE_BITS + place_bits), np.diff(bounds))
    if not bits.all():  # what is too small to be stored is a zero like the others
        keys[bits == 0] = -1
    keys.sort()
    keys = keys[np.searchsorted(keys, 0) :]
    # A row is a part of a feature's documents.
    begins = np.searchsorted(keys, np.arange(a << part_bits) << (_VALUE_BITS + place_bits))
    zeros = np.tile(sizes, a) - np.diff(begins, append=len(keys))
    shared = ((zeros + 1) / 2).astype(ranks.dtype)
    ranks[:] = np.repeat(shared.reshape(a, -1), sizes, axis=1)
    alike = keys >> place_bits
    changes = np.ones(len(keys) + 1, dtype=np.bool_)
    np.not_equal(alike[1:], alike[:-1], out=changes[1:-1])
    edges = np.flatnonzero(changes)
    # The middle of what is alike, counted from the row's first and behind the zeros.
    middle = (edges[1:] + edges[:-1] + 1) / 2
    middle += (zeros - begins)[alike[edges[:-1]] >> _VALUE_BITS]
    group = np.cumsum(changes[:-1], dtype=np.int64) - 1
    alike >>= _VALUE_BITS + part_bits
    alike *= n
    keys &= (1 << place_bits) - 1
    alike += keys
    ranks.reshape(-1)[alike] = middle.astype(ranks.dtype)[group]
