"""Tensors as streams of pieces: no more than a megabyte of any file is in memory at once."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sae_merge_method.files.hashing import Hasher, Hashes
from sae_merge_method.files.parallel import Advance
from sae_merge_method.models.dtypes import DTYPE_NAMES, DTYPES
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.reading import WeightFiles, equal_bytes

VALUES_AT_ONCE = 1 << 17
"""Length of a piece, in values: what is worked on stays in a core's own cache."""
_BYTES_AT_ONCE = 1 << 19
"""The same in bytes, where none is computed with."""


class Compared(NamedTuple):
    """A tensor that was read beside another."""

    hashes: Hashes
    """Its own."""
    same: bool
    """Whether the other holds the same bytes."""


class Streams(WeightFiles):
    """Open weight files that give their tensors piece by piece."""

    def compared(
        self, entry: TensorEntry, other: TensorEntry, *, with_sha256: bool, advance: Advance
    ) -> Compared:
        """Hash a tensor and hold it, byte for byte, against another: each is read once.

        Raises:
            MergeError: A file is not the one whose header was checked any more.
        """
        hasher, same = Hasher(with_sha256=with_sha256), entry.nbytes == other.nbytes
        own, others = (np.empty(min(entry.nbytes, _BYTES_AT_ONCE), np.uint8) for _ in range(2))
        for first, size in pieces(entry.nbytes, _BYTES_AT_ONCE):
            self.read(entry, first, own[:size].data)
            hasher.update(own[:size].data)
            if same:
                self.read(other, first, others[:size].data)
                same = equal_bytes(own[:size], others[:size])
            advance(size)
        return Compared(hasher.hashes(), same)

    def piece(self, entry: TensorEntry, first: int, size: int) -> bytearray:
        """``size`` bytes of a tensor from its byte ``first`` on.

        Raises:
            MergeError: The file is not the one whose header was checked any more.
        """
        data = bytearray(size)
        self.read(entry, first, memoryview(data))
        return data

    def values(self, entry: TensorEntry, first: int, count: int) -> bytearray:
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
