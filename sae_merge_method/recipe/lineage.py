"""How far a donor's weights lie from the base's: of one lineage, of another, or the same ones.

Sizes are told from samples of the selected layers' matrices, so that it costs next to nothing; that
two models are the same is told from every number.
"""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from sae_merge_method.layers import Unit, named_units, unit_of
from sae_merge_method.models.adapter import Adapter
from sae_merge_method.models.adapter_merge import change_norm
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.dtypes import DTYPES, narrow, precise_for, widen
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.reading import PIECE, SAMPLE, Values, WeightFiles, pieces, read_values, samples
from sae_merge_method.recipe.plan import EditPlan

FAR = 0.5
"""Relative norm of a task vector from which on it is no fine-tune's: those have some hundredths, and
two unrelated models of one size the square root of two."""
_Pair = tuple[TensorEntry, TensorEntry]


def oddities(
    plan: EditPlan,
    base: Checkpoint,
    donors: Mapping[str, Checkpoint],
    adapters: Mapping[str, Adapter] | None = None,
) -> Iterator[str]:
    """What is odd about a plan's donors, in words, though nothing about it is wrong.

    Args:
        plan: The edit.
        base: The base.
        donors: By the plan's names for them, each checked against the base.
        adapters: By the same names, those that are still to be merged into their donors, known to fit.

    Raises:
        ModelError: A file is damaged.
    """
    for name, donor in donors.items():
        layers, adapter = plan.layers_of(name), (adapters or {}).get(name)
        where = f"in {named_units(layers)}"
        pairs = [
            (entry, donor.layer_tensors[key])
            for key, entry in base.layer_tensors.items()
            if unit_of(layers, key) is not None
        ]
        added = 0.0
        if adapter is not None:
            yield from (f"the adapter of {name}: {note}" for note in adapter.notes)
            added = _added(adapter, donor, layers)
        nothing = f"{where}: it adds nothing to {plan.base}" + (
            ", the result is the base" if len(plan.donors) == 1 else ""
        )
        if not any(_alphas(plan, name)):
            yield f"the weight of {name} is 0 {nothing}"
            continue
        if not added and is_same(base, donor, pairs):
            yield f"the task vector of {name} is zero {nothing}"
            continue
        size = relative_norm(pairs, added)
        if size > FAR:
            yield (
                f"the task vector of {name} {where} has {size:.2f} times the norm of {plan.base} itself: "
                f"fine-tunes of one base stay far below {FAR}, unrelated models come to 1.4"
            )


def _alphas(plan: EditPlan, donor: str) -> Iterator[float]:
    """Every weight that a donor has anywhere."""
    for donations in plan.donations.values():
        for donation in donations:
            if donation.model == donor:
                yield from (alpha for _, alpha in donation.weights)


def _added(adapter: Adapter, model: Checkpoint, layers: Collection[Unit]) -> float:
    """Norm of what an adapter adds to some of its model's layers, or parts of them."""
    parts = [part for part in {*adapter.factors, *adapter.saved} if unit_of(layers, part) is not None]
    return float(np.linalg.norm([change_norm(adapter, part, model) for part in sorted(parts)]))


def is_same(base: Checkpoint, donor: Checkpoint, pairs: list[_Pair]) -> bool:
    """Whether each pair holds the same numbers, as far as the narrower dtype of the two tells them apart.

    Ends at the first pair that does not.
    """
    with WeightFiles([base, donor]) as files:
        return all(_same_numbers(files, one, other) for one, other in pairs)


def _same_numbers(files: WeightFiles, one: TensorEntry, other: TensorEntry) -> bool:
    narrower, wider = sorted((one, other), key=lambda entry: DTYPES[entry.dtype].nbytes)
    kind, precise = narrower.dtype, precise_for(narrower.dtype)
    few, many = Values(files, narrower, precise), Values(files, wider, precise)
    rounded = np.empty(PIECE, DTYPES[kind].numpy)
    again, spare = np.empty(PIECE, precise), np.empty(PIECE, precise)
    for first, size in pieces(one.n_values):
        expected, numbers = few.read(first, size).numbers, many.read(first, size).numbers
        if not narrow(numbers, kind, rounded[:size], spare[:size]):
            return False
        widen(rounded[:size], kind, again[:size])
        if not np.array_equal(again[:size], expected):
            return False
    return True


def relative_norm(pairs: list[_Pair], added: float = 0.0) -> float:
    """Norm of donor minus base over the base's, from samples of the matrices; 0 where there are none.

    Args:
        pairs: Tensors of base and donor.
        added: Norm of what an adapter adds to the donor; taken to be at right angles to the rest.
    """
    moved, own = added**2, 0.0
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
