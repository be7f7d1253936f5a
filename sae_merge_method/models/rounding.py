"""How the value of an edited tensor becomes one of its stored type: a row for each way.

Recipes, both engines, an audit and the model card read the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sae_merge_method.models.dtypes import DTYPE_NAMES, DTYPES, Floats, narrow
from sae_merge_method.models.random_bits import RandomBits
from sae_merge_method.models.stochastic import narrow_stochastically, round_stochastically

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True)
class RoundingKind:
    """One way to round."""

    description: str
    """What it does, for help texts."""
    unbiased: bool
    """Whether a value's expectation is what it was before: an edit smaller than the type's step is then kept
    on average, and every entry bears noise."""
    in_numpy: Callable[[Floats, str, NDArray[Any], Floats, RandomBits, int], bool]
    """Numbers, safetensors' dtype, where to write, spare memory, the tensor's random bits, and the number of
    the first value, to whether all are finite and stay so."""
    in_torch: Callable[[torch.Tensor, torch.dtype, RandomBits, int], torch.Tensor]
    """The same bits in torch, from numbers, dtype, random bits, and the number of the first value."""


ROUNDINGS = {
    "nearest": RoundingKind(
        description="to the nearest value that the type holds, half to even",
        unbiased=False,
        in_numpy=lambda values, dtype, out, spare, random, first: narrow(values, dtype, out, spare),
        in_torch=lambda values, dtype, random, first: values.to(dtype),
    ),
    "stochastic": RoundingKind(
        description="up or down at random, the nearer the likelier, so that the mean is kept",
        unbiased=True,
        in_numpy=narrow_stochastically,
        in_torch=round_stochastically,
    ),
}
"""By the recipe's ``rounding``."""
DEFAULT = "nearest"


@dataclass(frozen=True)
class Rounding:
    """How one recipe's edits are rounded."""

    kind: str = DEFAULT
    """One of the table."""
    seed: int = 0
    """What draws depend on beside a tensor's name and a value's position."""

    @property
    def unbiased(self) -> bool:
        """Whether values keep their expectation."""
        return ROUNDINGS[self.kind].unbiased

    def __str__(self) -> str:
        """For a reader: the kind, with its seed where that matters."""
        return f"{self.kind} (seed {self.seed})" if self.unbiased else self.kind

    def narrow(
        self, values: Floats, dtype: str, out: NDArray[Any], spare: Floats, name: str, first: int
    ) -> bool:
        """Round consecutive values of a tensor, as :func:`~sae_merge_method.models.dtypes.narrow` does.

        Args:
            values: float32 or float64, flat; not modified.
            dtype: The stored type, by safetensors' name.
            out: Takes the values, in the type's own numpy type.
            spare: Memory to work in, like ``values``.
            name: The tensor's, in any layout.
            first: Number of the first value within the tensor.

        Returns:
            Whether every value is finite and stays so; where not, ``out`` is arbitrary.
        """
        return ROUNDINGS[self.kind].in_numpy(values, dtype, out, spare, RandomBits.of(self.seed, name), first)

    def to(self, values: torch.Tensor, dtype: torch.dtype, name: str, first: int = 0) -> torch.Tensor:
        """The same in torch, on any device; what overflows is infinite there.

        Args:
            values: float32 or float64, any shape; not modified.
            dtype: The stored type.
            name: The tensor's, in any layout.
            first: Number of the first value within the tensor.
        """
        return ROUNDINGS[self.kind].in_torch(values, dtype, RandomBits.of(self.seed, name), first)

    def to_quickly(self, values: torch.Tensor, dtype: torch.dtype, name: str) -> torch.Tensor:
        """A whole tensor by :meth:`to`; on the processor through numpy, whose random bits cost least."""
        import numpy as np
        import torch

        if not self.unbiased or values.device.type != "cpu" or not bool(torch.isfinite(values).all()):
            return self.to(values, dtype, name)
        stored = next(
            kind for kind, named in DTYPE_NAMES.items() if named == str(dtype).removeprefix("torch.")
        )
        flat = values.detach().contiguous().flatten().numpy()
        out = np.empty(flat.size, DTYPES[stored].numpy)
        if not self.narrow(flat, stored, out, np.empty_like(flat), name, 0):
            return self.to(values, dtype, name)  # infinite where it overflows
        return torch.from_numpy(out.view(np.uint8)).view(dtype).reshape(values.shape)


NEAREST = Rounding()
"""What a recipe without a word gets."""
