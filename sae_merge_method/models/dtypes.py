"""Stored floating-point bytes to numbers and back, without torch, bit for bit as torch converts.

bfloat16 is the upper half of a float32: widening is a shift, narrowing rounds half to even on
the bits. numpy knows the other dtypes. Results go into arrays that a thread keeps and uses
again (:class:`Scratch`): fresh ones would cost more in page faults than the arithmetic itself.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

Floats: TypeAlias = "NDArray[Any]"
"""float32 or float64 values."""

STORED = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}
"""numpy's dtype for safetensors'; bfloat16 as the bits it is."""
# From here on a float32 rounds to bfloat16's infinity (or is not finite itself).
_BEYOND_BF16 = 0x7F7F8000


class Scratch(threading.local):
    """Arrays that live as long as their thread; every thread has its own."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[np.uint8]] = {}

    def array(self, name: str, dtype: DTypeLike, count: int) -> NDArray[Any]:
        """An array of ``count`` values, undefined; the same memory for the same name each time."""
        size = np.dtype(dtype).itemsize * count
        held = self._arrays.get(name)
        if held is None or held.nbytes < size:
            held = self._arrays[name] = np.empty(size, np.uint8)
        return held[:size].view(dtype)


def widen(stored: NDArray[Any], dtype: str, out: Floats) -> None:
    """Write the numbers behind stored values into ``out``.

    Args:
        stored: One array of the numpy dtype ``STORED[dtype]``.
        dtype: "F64", "F32", "F16" or "BF16".
        out: float32 or float64, as long as ``stored``; narrower values are exact in it.
    """
    # float64 beyond float32 becomes infinite, and a signalling NaN a quiet one: found later.
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype != "BF16":
            np.copyto(out, stored, casting="unsafe")
            return
        bits = out.view("<u4") if out.dtype == np.float32 else np.empty(out.size, "<u4")
        np.copyto(bits, stored)
        np.left_shift(bits, 16, out=bits)
        if out.dtype != np.float32:
            np.copyto(out, bits.view("<f4"))


def narrow(values: Floats, dtype: str, out: NDArray[Any], scratch: Scratch) -> None:
    """Round numbers to a stored dtype, half to even.

    Where a value is not finite the result is arbitrary: ask :func:`fits` first.

    Args:
        values: float32, or float64 for "F64"; not modified.
        dtype: "F64", "F32", "F16" or "BF16".
        out: Array of the numpy dtype ``STORED[dtype]``; its bytes are what is written.
        scratch: Memory to work in.
    """
    if dtype != "BF16":
        with np.errstate(over="ignore", invalid="ignore"):
            np.copyto(out, values, casting="unsafe")
        return
    bits = values.view("<u4")
    rounded = scratch.array("bits", "<u4", values.size)
    np.right_shift(bits, 16, out=rounded)
    np.bitwise_and(rounded, 1, out=rounded)
    np.add(rounded, 0x7FFF, out=rounded)
    np.add(rounded, bits, out=rounded)
    np.right_shift(rounded, 16, out=rounded)
    np.copyto(out, rounded, casting="unsafe")


def fits(values: Floats, dtype: str, scratch: Scratch) -> bool:
    """Whether every value is finite and stays so in the stored dtype."""
    if not values.size:
        return True
    if dtype == "BF16":
        bits = scratch.array("bits", "<u4", values.size)
        np.bitwise_and(values.view("<u4"), 0x7FFFFFFF, out=bits)
        return int(bits.max()) < _BEYOND_BF16
    stored = scratch.array("bits", STORED[dtype], values.size)
    narrow(values, dtype, stored, scratch)
    return bool(np.isfinite(stored).all())
