"""Reading tensors, whole or in pieces, from the byte ranges of their files. No torch.

Plain positioned reads, not a memory map: a file that shrinks under a map kills the process.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.files.descriptors import read_at
from sae_merge_method.files.hashing import Hashes, hash_span
from sae_merge_method.files.parallel import Advance
from sae_merge_method.files.regular import open_regular
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.dtypes import DTYPE_NAMES, DTYPES, Floats, Precise, widen
from sae_merge_method.models.headers import FileStamp, TensorEntry

_AT_ONCE = 1 << 20


class WeightFiles:
    """Open files of some checkpoints, read by any number of threads; a context manager."""

    def __init__(self, checkpoints: Iterable[Checkpoint]) -> None:
        self._checkpoints = tuple(checkpoints)
        self._stamps = {path: stamp for c in self._checkpoints for path, stamp in c.stamps.items()}
        self._handles: dict[Path, int] = {}
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles.values():
            os.close(handle)
        self._handles.clear()

    def read(self, entry: TensorEntry, first: int, into: memoryview) -> None:
        """Fill ``into`` with a tensor's bytes, from its byte ``first`` on.

        Raises:
            MergeError: The file is not the one whose header was read, or was cut short.
        """
        if read_at(self._handle(entry.file), into, entry.start + first) != len(into):
            raise _cut_short(entry)

    def hashes(
        self, entry: TensorEntry, *, with_sha256: bool = True, advance: Advance | None = None
    ) -> Hashes:
        """Hashes of a tensor's bytes as they lie in its file.

        Raises:
            MergeError: The file is not the one whose header was read, or was cut short.
        """
        handle = self._handle(entry.file)
        try:
            return hash_span(handle, entry.start, entry.nbytes, with_sha256=with_sha256, advance=advance)
        except EOFError:
            raise _cut_short(entry) from None

    def same_bytes(self, one: TensorEntry, other: TensorEntry) -> bool:
        """Whether two tensors hold the same bytes.

        Raises:
            MergeError: A file is not the one whose header was read, or was cut short.
        """
        if one.nbytes != other.nbytes:
            return False
        left, right = (np.empty(min(_AT_ONCE, one.nbytes), np.uint8) for _ in range(2))
        for first, size in pieces(one.nbytes, _AT_ONCE):
            self.read(one, first, left[:size].data)
            self.read(other, first, right[:size].data)
            if not equal_bytes(left[:size], right[:size]):
                return False
        return True

    def require_unchanged(self, of: Iterable[Checkpoint] | None = None) -> None:
        """Make sure that nobody wrote to the files that were read.

        Args:
            of: The checkpoints to look at; None for all.

        Raises:
            MergeError: Somebody did; what was read cannot be trusted.
        """
        for checkpoint in self._checkpoints if of is None else of:
            checkpoint.require_unchanged([path for path in self._handles if path in checkpoint.stamps])

    def _handle(self, path: Path) -> int:
        with self._opening:
            if path not in self._handles:
                handle = open_regular(path)
                self._handles[path] = handle
                if FileStamp.of(os.fstat(handle)) != self._stamps[path]:
                    raise MergeError(f"{path} changed after its header was read")
            return self._handles[path]


def _cut_short(entry: TensorEntry) -> MergeError:
    return MergeError(f"{entry.file} was cut short while it was being read: it ends inside {entry.name}")


def equal_bytes(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> bool:
    """Whether two runs of bytes are equal: compared word by word, while other threads go on."""
    if one.nbytes % 8 == 0 and other.nbytes == one.nbytes:
        return np.array_equal(one.view(np.uint64), other.view(np.uint64))
    return np.array_equal(one, other)


PIECE = 1 << 17
"""Values worked on at once: what is worked on stays in a core's own cache."""


def pieces(length: int, most: int = PIECE) -> Iterator[tuple[int, int]]:
    """(first, size) of consecutive pieces of at most ``most``, of values or of bytes."""
    for first in range(0, length, most):
        yield first, min(most, length - first)


SAMPLE = 4096
"""Values of a tensor that stand for all of it, where a look must cost next to nothing."""
_RUNS = 4


def samples(n_values: int) -> Iterator[tuple[int, int]]:
    """(first, count) of a few runs of values spread over a tensor, ``SAMPLE`` values in all; or all of it."""
    if n_values <= SAMPLE:
        yield 0, n_values
        return
    run = SAMPLE // _RUNS
    for number in range(_RUNS):
        yield number * (n_values - run) // (_RUNS - 1), run


class Piece(NamedTuple):
    """Consecutive values of a tensor, flat, in memory that the next piece overwrites."""

    stored: npt.NDArray[Any]
    """As they stand in the file."""
    numbers: Floats
    """float32 or float64."""


class Values:
    """One tensor's values, read a piece at a time into memory that is made once; for one thread."""

    def __init__(self, files: WeightFiles, entry: TensorEntry, precise: Precise) -> None:
        """Make room for one piece.

        Args:
            files: Open for reading.
            entry: A tensor of a type that can be computed with.
            precise: Type of the numbers.
        """
        self._files, self._entry = files, entry
        size = min(PIECE, entry.n_values)
        self._stored = np.empty(size, DTYPES[entry.dtype].numpy)
        self._numbers = np.empty(size, precise)

    def read(self, first: int, size: int) -> Piece:
        """``size`` values, at most ``PIECE``, from number ``first`` on.

        Raises:
            MergeError: The file is not the one whose header was read, or was cut short.
        """
        stored, numbers = self._stored[:size], self._numbers[:size]
        self._files.read(self._entry, first * stored.itemsize, stored.data.cast("B"))
        widen(stored, self._entry.dtype, numbers)
        return Piece(stored, numbers)


def read_tensor(entry: TensorEntry) -> Floats:
    """The whole tensor, as float32 (float64 stays float64).

    Raises:
        ModelError: Not floating point, or the file ends too early.
    """
    return _read(entry, entry.start, entry.n_values).reshape(entry.shape)


def read_values(entry: TensorEntry, first: int, count: int) -> Floats:
    """Some values of a tensor as they lie, from number ``first`` on, as :func:`read_tensor` gives them.

    Raises:
        ModelError: Not floating point, or the file ends too early.
    """
    return _read(entry, entry.start + first * _dtype(entry).itemsize, count)


def read_rows(entry: TensorEntry, rows: Sequence[int]) -> Floats:
    """Some rows of a matrix, in the order asked for, as float32 (float64 stays float64).

    Raises:
        ModelError: Not a floating-point matrix, a row it does not have, or a file that ends too early.
    """
    if len(entry.shape) != 2:
        raise ModelError(
            f"{entry.file}: expected {entry.name} to be a matrix, its shape is {list(entry.shape)}"
        )
    count, width = entry.shape
    outside = [row for row in rows if not 0 <= row < count]
    if outside:
        raise ModelError(f"{entry.file}: {entry.name} has {count} rows, and row {outside[0]} was asked for")
    size = _dtype(entry).itemsize * width
    read = [_read(entry, entry.start + row * size, width) for row in rows]
    return np.stack(read) if read else np.zeros((0, width), np.float32)


def _read(entry: TensorEntry, start: int, count: int) -> Floats:
    stored = _dtype(entry)
    with os.fdopen(open_regular(entry.file), "rb", buffering=0) as stream:
        stream.seek(start)
        values = np.fromfile(stream, stored, count)
    if len(values) != count:
        raise ModelError(f"{entry.file} ends inside tensor {entry.name}")
    if stored.itemsize >= 4:
        return values
    wide = np.empty(count, np.float32)
    widen(values, entry.dtype, wide)
    return wide


def _dtype(entry: TensorEntry) -> np.dtype[Any]:
    if not entry.is_float:
        expected = ", ".join(DTYPE_NAMES)
        raise ModelError(f"{entry.file}: {entry.name} is {entry.dtype}: expected one of {expected}")
    return np.dtype(DTYPES[entry.dtype].numpy)
