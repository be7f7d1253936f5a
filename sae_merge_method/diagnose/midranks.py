"""Ranks of documents by their usage of a feature, ties sharing the mean of their ranks.

Most documents do not use most features: only what is used is sorted, and the zeros share one rank.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class SortedUse(NamedTuple):
    """What documents use of some features: by feature, and from the least to the most used."""

    alike: npt.NDArray[np.int64]
    """(nnz,) ascending: the feature, then 16 bits that are the same where values are."""
    document: npt.NDArray[np.int64]
    """(nnz,) which document."""

    def among(self, documents: npt.NDArray[np.int64], n: int) -> "SortedUse":
        """Those of some documents, numbered as they come there.

        Args:
            documents: Which.
            n: How many there are in all.
        """
        place = np.full(n, -1)
        place[documents] = np.arange(len(documents))
        document = place[self.document]
        kept = np.flatnonzero(document >= 0)
        return SortedUse(self.alike[kept], document[kept])


def sorted_use(
    column: npt.NDArray[np.integer],
    document: npt.NDArray[np.integer],
    values: npt.NDArray[np.float16],
    n: int,
) -> SortedUse:
    """Sort what is used.

    Args:
        column: (nnz,) which feature.
        document: (nnz,) which document.
        values: (nnz,) at least 0.
        n: How many documents there are.
    """
    # Float16 bits of numbers above 0 are in the order of the numbers: one sort of feature, value, document.
    bits = values.view(np.uint16)
    document_bits = n.bit_length()
    keys = column.astype(np.int64) << 16
    keys |= bits
    keys <<= document_bits
    keys |= document
    if not bits.all():  # what is too small to be stored is a zero like the others
        keys = keys[bits > 0]
    keys.sort()
    return SortedUse(keys >> document_bits, keys & ((1 << document_bits) - 1))


def midranks(
    use: SortedUse, shape: tuple[int, int], kind: type[np.floating] = np.float64
) -> npt.NDArray[np.floating]:
    """(a, n) rank of each document within its row, from 1, as ``scipy.stats.rankdata`` has it.

    Args:
        use: What is used; what has no entry is 0.
        shape: a features and n documents.
        kind: Precision of the ranks.
    """
    alike, document = use
    column = alike >> 16
    used = np.bincount(column, minlength=shape[0])
    zeros = shape[1] - used
    ranks = np.empty(shape, dtype=kind)
    ranks[:] = ((zeros + 1) / 2)[:, None]
    begins = np.flatnonzero(np.diff(alike, prepend=-1))
    lengths = np.diff(begins, append=len(alike))
    # Within its feature, an entry's place counts from the feature's first.
    first = np.cumsum(used) - used
    of_begin = column[begins]
    middle = begins + (lengths - 1) / 2 - first[of_begin] + 1 + zeros[of_begin]
    ranks.reshape(-1)[column * shape[1] + document] = np.repeat(middle.astype(kind), lengths)
    return ranks
