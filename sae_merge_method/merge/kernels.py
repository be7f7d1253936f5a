"""The merge methods that the direct engine knows, and what they make of task vectors."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from sae_merge_method.artifacts.method_parameters import ScalpelParameters, validated_parameters
from sae_merge_method.geometry.one_thread import one_blas_thread
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
