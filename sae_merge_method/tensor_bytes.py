"""Reading a tensor, or some of its rows, from its byte range as a NumPy array. No torch.

Memory holds what is returned and no more: nothing of the file is mapped.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from sae_merge_method.checkpoints import TensorEntry
from sae_merge_method.errors import ModelError
from sae_merge_method.stored_numbers import STORED, widen

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
