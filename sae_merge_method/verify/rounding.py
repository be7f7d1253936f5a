"""Where a recipe's dtypes round, and the values that follow: an edit computed anew, piece by piece.

Computed with torch, on purpose by other code than the merge's own: what verifies a merge must
not share its mistakes.

Two hosts run one recipe and read ``dtype:`` differently. ``sae-merge merge`` takes the tensors as
they are stored and rounds the result once, to the base's dtype (then to the written one, where the
recipe asks for another). Plain ``mergekit-yaml`` casts base and donors to ``dtype:`` first, which
rounds a donor that is stored wider. Both are what the recipe implies, so both are accepted, but a
checkpoint must follow one of them throughout.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.recipe.methods import Filter

if TYPE_CHECKING:
    import torch

Change = Callable[["torch.Tensor"], "torch.Tensor | None"]
"""What a method makes of a whole tensor's weighted task vectors before they are added; None for nothing."""


@dataclass(frozen=True)
class Rounding:
    """One reading of a recipe's dtypes, by torch's names; None stands for the dtype as stored."""

    description: str
    """What it does, for a reader."""
    loaded: str | None
    """dtype to which inputs are cast before the arithmetic."""
    written: str | None
    """dtype to which results are cast at the end."""

    def unedited(self, base: "torch.Tensor") -> "torch.Tensor":
        """What a tensor outside the gate becomes."""
        return self._write(self._load(base))

    def edited(
        self,
        base: "torch.Tensor",
        donors: Sequence["torch.Tensor"],
        alphas: Sequence[float],
        change: Change | None = None,
    ) -> "torch.Tensor":
        """``base + sum_i alpha_i (donor_i - base)``: float32 arithmetic (float64 stays), then rounding.

        The order of operations is task arithmetic's: task vectors weighted and summed, then added.
        """
        import torch

        base = self._load(base)
        if not any(alphas):
            return self._write(base)  # base + 0 * tau would still turn -0.0 into 0.0
        precise = torch.float64 if base.dtype == torch.float64 else torch.float32
        theta = base.to(precise)
        taus = [
            (self._load(donor).to(precise) - theta) * alpha
            for donor, alpha in zip(donors, alphas, strict=True)
        ]
        shift = taus[0]
        for tau in taus[1:]:
            shift = shift + tau
        changed = change(shift) if change is not None else shift
        return self._write(base if changed is None else (theta + changed).to(base.dtype))

    def _load(self, tensor: "torch.Tensor") -> "torch.Tensor":
        return tensor.to(_torch_dtype(self.loaded)) if self.loaded else tensor

    def _write(self, tensor: "torch.Tensor") -> "torch.Tensor":
        return tensor.to(_torch_dtype(self.written)) if self.written else tensor


def roundings(recipe: Recipe) -> tuple[Rounding, ...]:
    """The readings of a recipe that can differ: sae-merge's first, mergekit's second."""
    by_us = Rounding("rounded once", None, recipe.target_dtype)
    if recipe.dtype is None:
        return (by_us,)
    description = f"inputs rounded to {recipe.dtype} first, as mergekit-yaml does"
    return by_us, Rounding(description, recipe.dtype, recipe.out_dtype)


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


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Within the block, threads that begin in it each compute on one core: there is one for every core."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def nearly(stored: "torch.Tensor", computed: "torch.Tensor", base: "torch.Tensor") -> bool:
    """Whether two computations of one edit agree as far as sums can: their order is the machine's own.

    One unit in the last place of the stored dtype, and a millionth of the largest change, are rounding.

    Args:
        stored: Values of the checkpoint, flat.
        computed: Values computed anew, of the same dtype.
        base: Values before the edit.
    """
    import torch

    merged, expected, before = (tensor.to(torch.float64) for tensor in (stored, computed, base))
    if not bool(torch.isfinite(merged).all()):
        return False
    unit = torch.finfo(stored.dtype).eps * expected.abs()
    return bool(((merged - expected).abs() <= unit + 1e-6 * (expected - before).abs().max()).all())


def _torch_dtype(name: str) -> "torch.dtype":
    import torch

    dtype: torch.dtype = getattr(torch, name)
    return dtype
