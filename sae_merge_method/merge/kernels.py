"""What the direct engine can compute: one numpy kernel for each merge method it knows.

A kernel is arithmetic on one tensor, or on any piece of it where it is element-wise. The same
method's torch form, for mergekit, lives in ``methods``; both give the same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sae_merge_method.merge.numbers import Floats
from sae_merge_method.tensor_names import LayerPart


class Kernel(Protocol):
    """Edited values of one tensor, or of one piece of an element-wise kernel's tensor."""

    def __call__(
        self, place: LayerPart, base: Floats, donors: Sequence[Floats], alphas: Sequence[float]
    ) -> Floats:
        """Compute float32 or float64 values; ``base`` stays as it is, the donors' memory may be used."""


@dataclass(frozen=True)
class DirectMethod:
    """A merge method as the direct engine runs and describes it."""

    kernel: Kernel
    title: str
    """As mergekit's model card names it."""
    link: str
    elementwise: bool = True
    """Whether pieces may be computed apart; otherwise the kernel gets whole tensors, in their shape."""


def inject_piece(place: LayerPart, base: Floats, donors: Sequence[Floats], alphas: Sequence[float]) -> Floats:
    """``base + sum_i alpha_i (donor_i - base)``, operation by operation as ``injection.inject``."""
    shift: Floats | None = None
    # Overflow and NaN are looked for in the result: every one of the inputs' ends up there.
    with np.errstate(over="ignore", invalid="ignore"):
        for donor, alpha in zip(donors, alphas, strict=True):
            tau = np.subtract(donor, base, out=donor)
            tau *= base.dtype.type(alpha)
            shift = tau if shift is None else np.add(shift, tau, out=shift)
        assert shift is not None
        return np.add(base, shift, out=shift)


DIRECT_METHODS: dict[str, DirectMethod] = {
    "sae_stethoscope": DirectMethod(inject_piece, "SAE Stethoscope", "https://arxiv.org/abs/2605.28649"),
}
"""By the recipe's ``merge_method``; what is not here runs through mergekit."""
