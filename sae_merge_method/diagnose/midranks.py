"""Ranks of documents by their usage of a feature, ties sharing the mean of their ranks.

Most documents do not use most features: only what is used is sorted, and the zeros share one rank.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def midranks(
    column: npt.NDArray[np.integer],
    document: npt.NDArray[np.integer],
    values: npt.NDArray[np.float16],
    shape: tuple[int, int],
) -> Floats:
    """(a, n) rank of each document within its row, from 1, as ``scipy.stats.rankdata`` has it.

    Args:
        column: (nnz,) row of each entry.
        document: (nnz,) its column: what has no entry is 0.
        values: (nnz,) at least 0.
        shape: a features and n documents.
    """
    positive = values > 0  # what is too small to be stored is a zero like the others
    n, document_bits = shape[1], shape[1].bit_length()
    # Float16 bits of numbers above 0 are in the order of the numbers: one sort of feature, value, document.
    bits = values[positive].view(np.uint16).astype(np.int64)
    keys = (column[positive].astype(np.int64) << 16 | bits) << document_bits | document[positive]
    keys.sort()
    alike, document = keys >> document_bits, keys & ((1 << document_bits) - 1)
    column = alike >> 16
    used = np.bincount(column, minlength=shape[0])
    zeros = n - used
    ranks = np.repeat((zeros[:, None] + 1) / 2, n, axis=1)
    begins = np.flatnonzero(np.diff(alike, prepend=-1))
    lengths = np.diff(begins, append=len(alike))
    # Within its feature, an entry's place counts from the feature's first.
    first = np.cumsum(used) - used
    middle = begins + (lengths - 1) / 2 - first[column[begins]] + 1 + zeros[column[begins]]
    ranks[column, document] = np.repeat(middle, lengths)
    return ranks
