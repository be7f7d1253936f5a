"""Reading tensors, whole or in pieces, from the byte ranges of their files. No torch.

Plain positioned reads, not a memory map: a file that shrinks under a map kills the process.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.files.hashing import Hashes, hash_span
from sae_merge_method.files.parallel import Advance
from sae_merge_method.models.checkpoint import Checkpoint, TensorEntry
from sae_merge_method.models.dtypes import STORED, widen
from sae_merge_method.models.headers import FileStamp


class WeightFiles:
    """Open files of some checkpoints, read by any number of threads; a context manager."""

    def __init__(self, checkpoints: Iterable[Checkpoint]) -> None:
        self._checkpoints = tuple(checkpoints)
        self._stamps = {path: stamp for c in self._checkpoints for path, stamp in c.stamps.items()}
        self._handles: dict[Path, int] = {}
        self._opening = threading.Lock()

    def __enter__(self) -> "WeightFiles":
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
        if os.preadv(self._handle(entry.file), [into], entry.start + first) != len(into):
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

    def require_unchanged(self) -> None:
        """Make sure that nobody wrote to the files that were read.

        Raises:
            MergeError: Somebody did; what was read cannot be trusted.
        """
        for path in self._handles:
            owner = next(c for c in self._checkpoints if path in c.stamps)
            owner.require_unchanged([path])

    def _handle(self, path: Path) -> int:
        with self._opening:
            if path not in self._handles:
                handle = os.open(path, os.O_RDONLY)
                self._handles[path] = handle
                if FileStamp.of(os.fstat(handle)) != self._stamps[path]:
                    raise MergeError(f"{path} changed after its header was read")
            return self._handles[path]


def _cut_short(entry: TensorEntry) -> MergeError:
    return MergeError(f"{entry.file} was cut short while it was being read: it ends inside {entry.name}")


Floats = npt.NDArray[np.floating]


def read_tensor(entry: TensorEntry) -> Floats:
    """The whole tensor, as float32 (float64 stays float64).

    Raises:
        ModelError: Not floating point, or the file ends too early.
    """
    return _read(entry, entry.start, prod(entry.shape)).reshape(entry.shape)


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
    with entry.file.open("rb", buffering=0) as stream:
        stream.seek(start)
        found = np.fromfile(stream, stored, count)
    if len(found) != count:
        raise ModelError(f"{entry.file} ends inside tensor {entry.name}")
    if stored.itemsize >= 4:
        return found
    wide = np.empty(count, np.float32)
    widen(found, entry.dtype, wide)
    return wide


def _dtype(entry: TensorEntry) -> np.dtype[Any]:
    if entry.dtype not in STORED:
        raise ModelError(f"{entry.file}: {entry.name} is {entry.dtype}: expected one of {', '.join(STORED)}")
    return np.dtype(STORED[entry.dtype])
