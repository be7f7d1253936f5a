"""What the direct engine can compute: its arithmetic in numpy, and the merge methods it knows.

Every method of ours adds to a base tensor what it makes of the weighted sum of task vectors. The
same arithmetic in torch, for mergekit, lives in ``injection``; both give the same bits.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np

from sae_merge_method.artifacts.method_parameters import ScalpelParameters, validated_parameters
from sae_merge_method.geometry.one_thread import one_blas_thread
from sae_merge_method.models.dtypes import Floats
from sae_merge_method.recipe.plan import EditPlan
from sae_merge_method.recipe.scalpel import Filter, Scalpel

PAPER = "https://arxiv.org/abs/2605.28649"


@dataclass(frozen=True)
class DirectMethod:
    """A merge method as the direct engine runs and describes it."""

    title: str
    """As mergekit's model card names it."""
    link: str
    filtering: Callable[[EditPlan], AbstractContextManager[Filter | None]]
    """What the plan makes of task vectors while it is open; None where they are added as they are."""


def weighted_sum(base: Floats, donors: Sequence[Floats], alphas: Sequence[float]) -> Floats:
    """``sum_i alpha_i (donor_i - base)``, operation by operation as ``injection.inject``.

    Args:
        base: float32 or float64, any piece of a tensor.
        donors: The same piece of at least one donor; their memory is used.
        alphas: One factor a donor.
    """
    shift: Floats | None = None
    # Overflow and NaN are looked for in the result: every one of the inputs' ends up there.
    with np.errstate(over="ignore", invalid="ignore"):
        for donor, alpha in zip(donors, alphas, strict=True):
            tau = np.subtract(donor, base, out=donor)
            tau *= base.dtype.type(alpha)
            shift = tau if shift is None else np.add(shift, tau, out=shift)
    assert shift is not None
    return shift


def shifted(base: Floats, shift: Floats) -> Floats:
    """``base + shift``, in the memory of ``shift``."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.add(base, shift, out=shift)


def _as_it_is(plan: EditPlan) -> AbstractContextManager[None]:
    """The raw task vector: a share of its energy is in the plan's factors already."""
    return nullcontext()


@contextmanager
def _by_scalpel(plan: EditPlan) -> Iterator[Filter]:
    parameters = validated_parameters(plan.merge_method, plan.parameters)
    assert isinstance(parameters, ScalpelParameters)
    with one_blas_thread():  # around the threads that will call it
        yield Scalpel(parameters, plan.layers).filter


DIRECT_METHODS: dict[str, DirectMethod] = {
    "sae_stethoscope": DirectMethod("SAE Stethoscope", PAPER, _as_it_is),
    "sae_scalpel": DirectMethod("SAE Scalpel", PAPER, _by_scalpel),
}
"""By the recipe's ``merge_method``; what is not here runs through mergekit."""
