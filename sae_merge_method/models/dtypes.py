"""The element types of stored tensors: their names, and their bytes to numbers and back. No torch.

Bit for bit as torch converts: bfloat16 is the upper half of a float32, so widening is a shift, and
narrowing rounds half to even on the bits; numpy knows the other floating-point types. Results go into
arrays of the caller's: fresh ones would cost more in page faults than the arithmetic itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[Any]"
"""float32 or float64 values."""
Precise = type[np.floating[Any]]
"""float32 or float64: in which precision to compute."""


class StoredDtype(NamedTuple):
    """One element type of safetensors files."""

    nbytes: int
    """Bytes of one value."""
    name: str | None = None
    """What recipes and torch call it; None where it is not floating point, or too narrow to compute with."""
    numpy: str | None = None
    """numpy's type for the stored values; bfloat16 as the bits it is. None where there is no name."""


DTYPES = {
    "F64": StoredDtype(8, "float64", "<f8"),
    "F32": StoredDtype(4, "float32", "<f4"),
    "F16": StoredDtype(2, "float16", "<f2"),
    "BF16": StoredDtype(2, "bfloat16", "<u2"),
    "I64": StoredDtype(8),
    "U64": StoredDtype(8),
    "I32": StoredDtype(4),
    "U32": StoredDtype(4),
    "I16": StoredDtype(2),
    "U16": StoredDtype(2),
    "I8": StoredDtype(1),
    "U8": StoredDtype(1),
    "F8_E4M3": StoredDtype(1),
    "F8_E5M2": StoredDtype(1),
    "BOOL": StoredDtype(1),
}
"""By safetensors' name; a file may hold others, whose bytes are copied and hashed but never computed with."""
DTYPE_NAMES = {kind: dtype.name for kind, dtype in DTYPES.items() if dtype.name is not None}
"""What recipes call the types that can be computed with, by safetensors' name."""
# From here on a float32 rounds to bfloat16's infinity (or is not finite itself).
_BEYOND_BF16 = 0x7F7F8000


_WITHIN = {
    "float64": {"float64", "float32", "float16", "bfloat16"},
    "float32": {"float32", "float16", "bfloat16"},
    "float16": {"float16"},
    "bfloat16": {"bfloat16"},
}


def holds(dtype: str, others: Iterable[str]) -> bool:
    """Whether a type holds every value of all others; by recipes' names."""
    return set(others) <= _WITHIN[dtype]


def precise_for(*dtypes: str) -> Precise:
    """In which precision to compute with stored types: float32, or float64 where one of them is that."""
    return np.float64 if "F64" in dtypes else np.float32


def widen(stored: NDArray[Any], dtype: str, out: Floats) -> None:
    """Write the numbers behind stored values into ``out``.

    Args:
        stored: One array of the type's own numpy type.
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


def narrow(values: Floats, dtype: str, out: NDArray[Any], spare: Floats) -> bool:
    """Round numbers to a stored type, half to even.

    float64 becomes float32 on its way to a type of 16 bits, as in torch.

    Args:
        values: float32 or float64; not modified.
        dtype: "F64", "F32", "F16" or "BF16".
        out: Array of the type's own numpy type; its bytes are what is written.
        spare: Memory to work in, like ``values``.

    Returns:
        Whether every value is finite and stays so; where not, ``out`` is arbitrary.
    """
    if not values.size:
        return True
    if values.dtype == np.float64 and DTYPES[dtype].nbytes == 2:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            values, spare = values.astype(np.float32), spare.view(np.float32)[: values.size]
    if dtype != "BF16":
        with np.errstate(over="ignore", invalid="ignore"):
            np.copyto(out, values, casting="unsafe")
        return bool(np.isfinite(out).all())
    bits, rounded = values.view("<u4"), spare.view("<u4")
    np.bitwise_and(bits, 0x7FFFFFFF, out=rounded)
    if int(rounded.max()) >= _BEYOND_BF16:
        return False
    np.right_shift(bits, 16, out=rounded)
    np.bitwise_and(rounded, 1, out=rounded)
    np.add(rounded, 0x7FFF, out=rounded)
    np.add(rounded, bits, out=rounded)
    np.right_shift(rounded, 16, out=rounded)
    np.copyto(out, rounded, casting="unsafe")
    return True
