"""Stochastic rounding: a number goes to one of its two neighbours of a stored type, so that the mean is kept.

With ``low <= x < high`` the neighbours, x becomes ``high`` with probability ``(x - low) / (high - low)`` and
``low`` otherwise, so the expectation is x itself (Croci, Fasi, Higham, Mary & Mikaitis, "Stochastic rounding:
implementation, error analysis and applications", R. Soc. Open Sci. 2022). What the stored type holds exactly
stays, and so does every sign. Nothing becomes infinite: beyond the largest finite value a number goes back to
that, up to where rounding to nearest would overflow; from there on it is an overflow, as it is there.

Pure functions of numbers and of the :mod:`~sae_merge_method.models.random_bits` that belong to them, one in
numpy and one in torch, with the same bits. The probability is exact from float32 to bfloat16, and within
2^-32 for other types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sae_merge_method.models.devices import exact_device
from sae_merge_method.models.dtypes import DTYPE_NAMES, DTYPES, Floats
from sae_merge_method.models.random_bits import RandomBits, Width

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


class _Grid(NamedTuple):
    """Where the finite values of a stored type lie: a power of two apart from 2^e to 2^(e+1)."""

    digits: int
    """Significant binary digits: there values are ``2^(e + 1 - digits)`` apart,"""
    least: int
    """but never less than 2 to this power."""
    top: int
    """e of the highest binade."""

    @property
    def largest(self) -> float:
        """The largest finite value."""
        return (2 - 2.0 ** (1 - self.digits)) * 2.0**self.top

    @property
    def beyond(self) -> float:
        """Half a step more: from here on rounding to nearest overflows."""
        return (2 - 2.0**-self.digits) * 2.0**self.top


_GRIDS = {"F32": _Grid(24, -149, 127), "F16": _Grid(11, -24, 15), "BF16": _Grid(8, -133, 127)}
_LARGEST_BF16 = 0x7F7F0000
"""Bits of bfloat16's largest finite value, as a float32."""
_BEYOND_BF16 = 0x7F7F8000
_BIAS, _MANTISSA = 1023, 52
"""Of a float64: what is added to its exponent, and the bits behind that."""


def narrow_stochastically(
    values: Floats, dtype: str, out: NDArray[Any], spare: Floats, random: RandomBits, first: int
) -> bool:
    """Round numbers to a stored type, as :func:`~sae_merge_method.models.dtypes.narrow` does to nearest.

    Args:
        values: (n,), float32 or float64; not modified.
        dtype: "F64", "F32", "F16" or "BF16".
        out: (n,), of the type's own numpy type; its bytes are what is written.
        spare: Memory to work in, like ``values``.
        random: Of the tensor that these are values of.
        first: Number of the first of them in the tensor.

    Returns:
        Whether every value is finite and stays so; where not, ``out`` is arbitrary.
    """
    if not values.size:
        return True
    if DTYPES[dtype].nbytes >= values.itemsize:
        np.copyto(out, values, casting="unsafe")
        return bool(np.isfinite(values).all())
    integers = random.in_numpy(first, values.size, _width(dtype, values.itemsize))
    if dtype == "BF16" and values.dtype == np.float32:
        return _narrow_bits(values, out, spare, integers)
    grid, size = _GRIDS[dtype], np.abs(values, out=spare).astype(np.float64)
    if not (size < grid.beyond).all():  # nor is a NaN
        return False
    exponent = (size.view(np.int64) >> _MANTISSA) - _BIAS
    step = _power_of_two(np.maximum(exponent + 1 - grid.digits, grid.least))
    steps = size / step
    whole = np.floor(steps)
    every = float(1 << 8 * integers.itemsize)
    whole += integers + (steps - whole) * every >= every
    rounded = np.copysign(np.minimum(whole * step, grid.largest), values)
    if dtype == "BF16":
        np.copyto(out, rounded.astype("<f4").view("<u4") >> 16, casting="unsafe")
    else:
        np.copyto(out, rounded, casting="unsafe")
    return True


def round_stochastically(
    values: torch.Tensor, dtype: torch.dtype, random: RandomBits, first: int = 0
) -> torch.Tensor:
    """The same in torch, on any device.

    Args:
        values: float32 or float64, any shape; not modified.
        dtype: A floating-point type that :func:`narrow_stochastically` knows.
        random: Of the tensor that these are values of.
        first: Number of the first of them in the tensor.

    Returns:
        Tensor of ``dtype``; what overflows is infinite there, and what is not finite stays so.
    """
    import torch

    if values.element_size() <= dtype.itemsize:
        return values.to(dtype)
    name = {named: stored for stored, named in DTYPE_NAMES.items()}[str(dtype).removeprefix("torch.")]
    grid, width = _GRIDS[name], _width(name, values.element_size())
    device, values = values.device, values.to(exact_device(values.device))
    size = values.abs().to(torch.float64)
    exponent = (size.view(torch.int64) >> _MANTISSA) - _BIAS
    step = ((exponent + 1 - grid.digits).clamp(min=grid.least) + _BIAS << _MANTISSA).view(torch.float64)
    steps = size / step
    whole = steps.floor()
    integers = random.in_torch(first, values.numel(), width, values.device).reshape(values.shape)
    every = float(1 << width)
    whole += integers + (steps - whole) * every >= every
    rounded = (whole * step).clamp(max=grid.largest).copysign(values)
    return torch.where(size < grid.beyond, rounded, values.to(torch.float64)).to(dtype).to(device)


def _width(dtype: str, nbytes: int) -> Width:
    """Random bits a value: as many as are cut off from float32 to bfloat16, 32 where that varies."""
    return 16 if dtype == "BF16" and nbytes == 4 else 32


def _narrow_bits(
    values: Floats, out: NDArray[Any], spare: Floats, integers: NDArray[np.unsignedinteger]
) -> bool:
    """float32 to bfloat16: the bits that are cut off are the share of the step, in 2^-16ths."""
    bits, rounded = values.view("<u4"), spare.view("<u4")
    np.bitwise_and(bits, 0x7FFFFFFF, out=rounded)
    largest = int(rounded.max())
    if largest >= _BEYOND_BF16:
        return False
    np.add(bits, integers, out=rounded)
    np.right_shift(rounded, 16, out=rounded)
    if largest > _LARGEST_BF16:
        rounded -= (rounded & 0x7FFF) > _LARGEST_BF16 >> 16
    np.copyto(out, rounded, casting="unsafe")
    return True


def _power_of_two(exponent: NDArray[np.int64]) -> NDArray[np.float64]:
    return ((exponent + _BIAS) << _MANTISSA).view(np.float64)
