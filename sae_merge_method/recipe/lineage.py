"""How far a donor's weights lie from the base's: of one lineage, of another, or the same ones.

Sizes are told from samples of the selected layers' matrices, so that it costs next to nothing; that
two models are the same is told from every byte.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from sae_merge_method.layers import format_layers
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.reading import SAMPLE, WeightFiles, read_values, samples
from sae_merge_method.recipe.plan import EditPlan

FAR = 0.5
"""Relative norm of a task vector from which on it is no fine-tune's: those have some hundredths, and
two unrelated models of one size the square root of two."""
_Pair = tuple[TensorEntry, TensorEntry]


def oddities(plan: EditPlan, base: Checkpoint, donors: Mapping[str, Checkpoint]) -> Iterator[str]:
    """What is odd about a plan's donors, in words, though nothing about it is wrong.

    Args:
        plan: The edit.
        base: The base.
        donors: By the plan's names for them, each checked against the base.

    Raises:
        ModelError: A file is damaged.
    """
    for name, donor in donors.items():
        layers = [at for at, givers in plan.donations.items() if any(one.model == name for one in givers)]
        pairs = [
            (entry, donor.layer_tensors[key])
            for key, entry in base.layer_tensors.items()
            if key.layer in layers
        ]
        where = f"in layers {format_layers(layers)}"
        if is_same(base, donor, pairs):
            yield f"the task vector of {name} is zero {where}: it adds nothing to {plan.base}" + (
                ", the result is the base" if len(donors) == 1 else ""
            )
            continue
        size = relative_norm(pairs)
        if size > FAR:
            yield (
                f"the task vector of {name} {where} has {size:.2f} times the norm of {plan.base} itself: "
                f"fine-tunes of one base stay far below {FAR}, unrelated models come to 1.4"
            )


def is_same(base: Checkpoint, donor: Checkpoint, pairs: list[_Pair]) -> bool:
    """Whether each pair of tensors has the same bytes; ends at the first that does not."""
    if any(one.dtype != other.dtype for one, other in pairs):
        return False
    with WeightFiles([base, donor]) as files:
        return all(files.same_bytes(one, other) for one, other in pairs)


def relative_norm(pairs: list[_Pair]) -> float:
    """Norm of donor minus base over the base's, from samples of the matrices; 0 where there are none."""
    moved = own = 0.0
    for of_base, of_donor in pairs:
        if len(of_base.shape) < 2:
            continue  # norms' gains lie near each other in any two models
        share = of_base.n_values / min(of_base.n_values, SAMPLE)
        for first, count in samples(of_base.n_values):
            theta = read_values(of_base, first, count).astype(np.float64)
            tau = read_values(of_donor, first, count) - theta
            moved += share * float(np.vdot(tau, tau))
            own += share * float(np.vdot(theta, theta))
    return (moved / own) ** 0.5 if own > 0 and np.isfinite(moved) else 0.0
