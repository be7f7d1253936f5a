"""Raw injection, ``theta = base + sum_i alpha_i (donor_i - base)``, for one tensor.

Pure tensor arithmetic: which tensors it is applied to is the gate's affair, and which hosts
call it is that of ``methods``.
"""

from collections.abc import Sequence

import torch

from sae_merge_method.errors import MergeError
from sae_merge_method.models.rounding import NEAREST, Rounding
from sae_merge_method.recipe.methods import Filter


def inject(
    name: str,
    base: torch.Tensor,
    donors: Sequence[torch.Tensor],
    alphas: Sequence[float],
    change: Filter | None = None,
    written: torch.dtype | None = None,
    rounding: Rounding = NEAREST,
) -> torch.Tensor:
    """Add the weighted task vectors of ``donors`` to ``base``.

    The arithmetic is done in float32 (in float64 where an input is that) and rounded once. The order of
    operations is that of mergekit's task_arithmetic, so that in float32 the two agree bit for bit. No input
    is modified.

    Args:
        name: The tensor's name, for messages.
        base: Any floating-point tensor.
        donors: At least one tensor of the same shape as ``base``.
        alphas: One factor a donor; where all are zero the base tensor itself comes back.
        change: What becomes of ``sum_i alpha_i tau_i`` before it is added; where that is nothing, the
            base tensor itself comes back.
        written: dtype of the result; None for that of ``base``.
        rounding: How the result is rounded to it.

    Raises:
        MergeError: Shapes differ, or a value is (or becomes) NaN or infinite.
    """
    if not donors:
        raise MergeError(
            f"{name} lies in a selected layer, but no donor came for it: "
            "name a donor for this layer, or take the layer out of the gate"
        )
    for donor in donors:
        if donor.shape != base.shape:
            raise MergeError(
                f"{name}: expected a donor tensor of shape {tuple(base.shape)} like the base's, "
                f"got {tuple(donor.shape)}"
            )
    if all(alpha == 0 for alpha in alphas):
        return base  # base + 0 * tau would still turn -0.0 into 0.0
    _require_finite(name, "base", base)
    wide = any(tensor.dtype == torch.float64 for tensor in (base, *donors))
    precise = torch.float64 if wide else torch.float32
    theta = base.to(precise)
    shift: torch.Tensor | None = None
    for donor, alpha in zip(donors, alphas, strict=True):
        _require_finite(name, "donor", donor)
        # Not addcmul: a fused multiply-add rounds once where task_arithmetic rounds twice.
        tau = donor.to(precise) - theta
        tau.mul_(alpha)
        shift = tau if shift is None else shift.add_(tau)
    assert shift is not None
    if change is not None:
        # In NumPy, on the processor: the same code, and so the same bits, whichever engine asks.
        changed = change(name, shift.cpu().contiguous().numpy())
        if changed is None:
            return base
        shift = torch.from_numpy(changed).to(shift.device)
    edited = rounding.to_quickly(theta + shift, written or base.dtype, name)
    if not bool(torch.isfinite(edited).all()):
        raise MergeError(
            f"{name}: the edit overflows {edited.dtype}; lower the weight or choose a wider dtype"
        )
    return edited


def _require_finite(name: str, side: str, tensor: torch.Tensor) -> None:
    finite = torch.isfinite(tensor)
    if not bool(finite.all()):
        bad = int((~finite).sum())
        raise MergeError(
            f"{name}: the {side} tensor holds {bad} NaN or infinite of {tensor.numel()} values, "
            "and its layer is selected"
        )
