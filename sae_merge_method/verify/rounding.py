"""What a recipe's dtypes and rounding make of tensors: an edit computed anew, piece by piece.

Computed with torch, on purpose by other code than the merge's own: what verifies a merge must
not share its mistakes.

Two hosts run one recipe and read ``dtype:`` differently where it is no wider than the base. ``sae-merge
merge`` then takes the tensors as they are stored; plain ``mergekit-yaml`` casts base and donors to ``dtype:``
first, which rounds a donor that is stored wider. Both are what the recipe implies, so both are accepted, but
a checkpoint must follow one of them throughout. Where the output is wider than the base there is one reading.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.recipe.methods import Filter
from sae_merge_method.recipe.precision import Precision, precision_of

if TYPE_CHECKING:
    import torch

Change = Callable[["torch.Tensor"], "torch.Tensor | None"]
"""What a method makes of a whole tensor's weighted task vectors before they are added; None for nothing."""


@dataclass(frozen=True)
class Reading:
    """One reading of a recipe's dtypes."""

    description: str
    """What it does, for a reader."""
    precision: Precision
    """In which types it computes and writes, and how it rounds."""

    def unedited(self, base: "torch.Tensor") -> "torch.Tensor":
        """What a tensor outside the gate becomes."""
        return cast(cast(base, self.precision.loaded), self.precision.written)

    def edited(
        self,
        name: str,
        first: int,
        base: "torch.Tensor",
        donors: Sequence["torch.Tensor"],
        alphas: Sequence[float],
        change: Change | None = None,
    ) -> "torch.Tensor":
        """``base + sum_i alpha_i (donor_i - base)``: float32 arithmetic (float64 stays), then one rounding.

        The order of operations is task arithmetic's: task vectors weighted and summed, then added.

        Args:
            name: The tensor's.
            first: Number of the first of these values within the tensor.
            base: Values of the base.
            donors: The same values of its donors.
            alphas: A weight for each donor.
            change: What the method makes of the whole tensor's task vectors.
        """
        import torch

        if not any(alphas):
            return self.unedited(base)  # base + 0 * tau would still turn -0.0 into 0.0
        loaded = [cast(tensor, self.precision.loaded) for tensor in (base, *donors)]
        wide = any(tensor.dtype == torch.float64 for tensor in loaded)
        theta, *given = (tensor.to(torch.float64 if wide else torch.float32) for tensor in loaded)
        taus = [(donor - theta) * alpha for donor, alpha in zip(given, alphas, strict=True)]
        shift = taus[0]
        for tau in taus[1:]:
            shift = shift + tau
        changed = change(shift) if change is not None else shift
        if changed is None:
            return self.unedited(base)
        dtype = _torch_dtype(self.precision.written) if self.precision.written else base.dtype
        return self.precision.rounding.to(theta + changed, dtype, name, first)


def readings(recipe: Recipe, base: Collection[str]) -> tuple[Reading, ...]:
    """The readings of a recipe that can differ: sae-merge's first, mergekit's second.

    Args:
        recipe: The recipe.
        base: The base's floating-point dtypes, by recipes' names.
    """
    precision = precision_of(recipe, base, recipe.target_dtype)
    by_us = Reading(precision.rounds(base), precision)
    if recipe.dtype in (None, precision.loaded):
        return (by_us,)
    stock = Precision(recipe.dtype, recipe.target_dtype, precision.rounding)
    return by_us, Reading(f"inputs rounded to {recipe.dtype} first, as mergekit-yaml does", stock)


def change_of(method: Filter, name: str) -> Change:
    """What a method makes of one tensor's task vectors: the one step that is not computed by other code."""
    import torch

    def change(shift: "torch.Tensor") -> "torch.Tensor | None":
        changed = method(name, shift.contiguous().numpy())
        return None if changed is None else torch.from_numpy(changed)

    return change


def as_tensor(raw: bytearray, dtype: str) -> "torch.Tensor":
    """The values behind stored bytes, flat, in the same memory.

    Args:
        raw: Whole values.
        dtype: By recipes' names, for example "bfloat16".
    """
    import torch

    return torch.frombuffer(raw, dtype=_torch_dtype(dtype))


def as_bytes(tensor: "torch.Tensor") -> bytearray:
    """The bytes of a flat tensor as they are stored."""
    import torch

    return bytearray(tensor.contiguous().view(torch.uint8).numpy())


_FLIPPED = 0.05
"""Most values that may be rounded otherwise, of those that the edit moved. Sums in another order differ by
less than a thousandth of the step, so few come to lie on the other side of where rounding turns; other draws
of a stochastic rounding move other values."""


def nearly(stored: "torch.Tensor", computed: "torch.Tensor", base: "torch.Tensor") -> bool:
    """Whether two computations of one edit agree as far as sums can: their order is the machine's own.

    One unit in the last place of the stored dtype, and a millionth of the largest change, are rounding; in a
    type of 16 bits few values may be rounded otherwise.

    Args:
        stored: Values of the checkpoint, flat.
        computed: Values computed anew, of the same dtype.
        base: Values before the edit.
    """
    import torch

    merged, expected, before = (tensor.to(torch.float64) for tensor in (stored, computed, base))
    if not bool(torch.isfinite(merged).all()):
        return False
    if stored.element_size() == 2:
        moved = (merged != before) | (expected != before)
        if int((merged != expected).sum()) > 1 + _FLIPPED * int(moved.sum()):
            return False
    unit = torch.finfo(stored.dtype).eps * expected.abs()
    return bool(((merged - expected).abs() <= unit + 1e-6 * (expected - before).abs().max()).all())


def cast(tensor: "torch.Tensor", dtype: str | None) -> "torch.Tensor":
    """The tensor in a dtype, by recipes' names; None for its own."""
    return tensor.to(_torch_dtype(dtype)) if dtype else tensor


def _torch_dtype(name: str) -> "torch.dtype":
    import torch

    dtype: torch.dtype = getattr(torch, name)
    return dtype
