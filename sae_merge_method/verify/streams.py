"""Tensors as streams of pieces: no more than a few megabytes of any file are in memory at once."""

from collections.abc import Iterator

from sae_merge_method.models.dtypes import DTYPE_NAMES, DTYPES
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.reading import WeightFiles

VALUES_AT_ONCE = 1 << 20
"""Length of a piece, in values."""


class Streams(WeightFiles):
    """Open weight files that give their tensors piece by piece."""

    def piece(self, entry: TensorEntry, first: int, size: int) -> bytes:
        """``size`` bytes of a tensor from its byte ``first`` on.

        Raises:
            MergeError: The file is not the one whose header was checked any more.
        """
        data = bytearray(size)
        self.read(entry, first, memoryview(data))
        return bytes(data)

    def values(self, entry: TensorEntry, first: int, count: int) -> bytes:
        """The bytes of ``count`` values from number ``first`` on.

        Raises:
            MergeError: See :meth:`piece`.
        """
        width = DTYPES[entry.dtype].nbytes
        return self.piece(entry, first * width, count * width)


def pieces(length: int, most: int) -> Iterator[tuple[int, int]]:
    """(first, size) of consecutive pieces of at most ``most``."""
    for first in range(0, length, most):
        yield first, min(most, length - first)


def n_values(entry: TensorEntry) -> int:
    """How many values a tensor of a known dtype has."""
    return entry.nbytes // DTYPES[entry.dtype].nbytes


def is_float(entry: TensorEntry) -> bool:
    """Whether a tensor is of a floating-point dtype that recipes can name."""
    return entry.dtype in DTYPE_NAMES
