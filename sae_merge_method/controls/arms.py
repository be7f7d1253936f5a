"""The table of arms: what each control changes, what it controls for, and how much it injects.

Recipes, settings, help, plans and reports read the table; how a recipe is written from a row is for
:mod:`.write`, what the arms say together for the claims of an experiment's report.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sae_merge_method.controls.ground import Ground, NoArmError
from sae_merge_method.controls.kinds import ArmKind
from sae_merge_method.controls.layer_sets import every_nth, windows
from sae_merge_method.controls.rivals import (
    each_alone,
    every_layer,
    if_there_are_others,
    largest_task_vectors,
    lowest_scores,
    random_rivals,
    selected,
    spread_rivals,
    swapped_parts,
    twins,
)
from sae_merge_method.controls.unit_sets import Units


def _kept(mode: str) -> Callable[[Ground, Units], float]:
    return lambda ground, layers: ground.energies.kept[mode]


def _scalpel(mode: str) -> Callable[[Ground], Mapping[str, Any]]:
    return lambda ground: {**ground.scalpel, "mode": mode}


def _damped(ground: Ground) -> float:
    whole = ground.energies.of(range(ground.n_layers))
    return ground.factor("all-layers-damped", whole, ground.energy)


def _on_the_way(ground: Ground) -> tuple[float, ...]:
    if ground.damping and ground.weight is not None and ground.weight < 0:
        raise NoArmError("the recipe's weight is below 0: the damping curve is of weights above")
    return ground.damping


def _twin(ground: Ground) -> float:
    kept = ground.energies.kept
    return ground.factor("scalpel-random", kept["random"], kept["project"])


def _small(ground: Ground) -> float:
    return ground.factor("stethoscope-energy-matched", ground.energy, ground.energies.kept["project"])


_ROWS = (
    ArmKind(
        "stethoscope",
        "selected",
        "the recipe itself: the arm that the others are held against",
        selected,
        always=True,
    ),
    ArmKind(
        "base",
        "base",
        "nothing injected: where every other arm starts from",
        selected,
        energy=lambda ground, layers: 0.0,
        factor=lambda ground: 0.0,
        as_it_is="the base itself: where every other arm starts from",
        always=True,
    ),
    ArmKind(
        "donor",
        "donor",
        "the donor's own decoder layers, all of them at weight 1: the most the task vector has to give",
        every_layer,
        weights=lambda ground: (1.0,),
        as_it_is="the donor itself, embeddings and head included: the most the edit could give",
    ),
    ArmKind(
        "all-layers",
        "amount",
        "whether choosing layers matters at all: the same weight everywhere",
        every_layer,
    ),
    ArmKind(
        "all-layers-damped",
        "amount",
        "whether it is only the smaller amount: every layer, alpha scaled down to the stethoscope's energy",
        every_layer,
        energy=lambda ground, layers: _damped(ground) ** 2 * ground.energies.of(layers),
        factor=_damped,
        like="stethoscope",
    ),
    ArmKind(
        "damped",
        "amount",
        "the damping curve: every layer at a smaller weight, what any choice of layers has to beat at its "
        "damage",
        every_layer,
        numbered=True,
        weights=_on_the_way,
    ),
    ArmKind(
        "all-but-the-last",
        "amount",
        "whether it is only the costliest layers: all but the last, in which damage often lies, at the same "
        "weights",
        lambda ground: (
            [tuple(range(ground.n_layers - ground.all_but_the_last))] if ground.all_but_the_last else []
        ),
        numbered=True,
        weights=_on_the_way,
    ),
    ArmKind(
        "random-layers",
        "random",
        "whether these layers matter or any would do: as many layers drawn at random",
        if_there_are_others(random_rivals),
        numbered=True,
    ),
    ArmKind(
        "random-spread",
        "random",
        "whether lying apart is enough: as many layers drawn at random, none of them neighbours",
        if_there_are_others(spread_rivals),
        numbered=True,
    ),
    ArmKind(
        "every-nth",
        "layers",
        "whether lying apart is enough: every third layer, or another share of them",
        lambda ground: [every_nth(ground.n_layers, ground.every_nth)] if ground.every_nth else [],
    ),
    ArmKind(
        "window",
        "layers",
        "where in depth it matters: each third of the model, or another share, as one block",
        lambda ground: windows(ground.n_layers, ground.windows) if ground.windows else [],
        numbered=True,
    ),
    ArmKind(
        "depth-matched",
        "layers",
        "depth: as many other layers with the closest mean depth",
        if_there_are_others(twins),
    ),
    ArmKind(
        "other-parts",
        "layers",
        "the parts: in layers that are open in part, attention in place of the MLP and the reverse, at the "
        "recipe's energy",
        swapped_parts,
    ),
    ArmKind(
        "largest-task-vector",
        "layers",
        "size: the layers in which fine-tuning moved most, no SAE needed to find them",
        if_there_are_others(largest_task_vectors),
    ),
    ArmKind(
        "lowest-specificity",
        "layers",
        "the score: as many layers, those with the lowest scores",
        if_there_are_others(lowest_scores),
    ),
    ArmKind(
        "scalpel",
        "scalpel",
        "the rejected side: only the part inside the span of the selected SAE features",
        selected,
        energy=_kept("project"),
        method="sae_scalpel",
        parameters=_scalpel("project"),
        mode="project",
        measures=("project",),
    ),
    ArmKind(
        "scalpel-random",
        "scalpel",
        "whether the features matter or only the rank: a random subspace of the same rank, at the scalpel's "
        "energy",
        selected,
        energy=lambda ground, layers: _twin(ground) ** 2 * ground.energies.kept["random"],
        factor=_twin,
        method="sae_scalpel",
        parameters=_scalpel("random"),
        mode="random",
        like="scalpel",
        measures=("project", "random"),
    ),
    ArmKind(
        "stethoscope-energy-matched",
        "amount",
        "whether the scalpel fails for its direction or for its size: the raw direction at its energy",
        selected,
        energy=lambda ground, layers: _small(ground) ** 2 * ground.energy,
        parameters=lambda ground: {"energy": _small(ground) ** 2},
        like="scalpel",
        measures=("project",),
    ),
    ArmKind(
        "layer",
        "layer",
        "what the score predicts: this layer alone, its gain beside its score",
        each_alone,
        numbered=True,
        asked_by="single_layers",
    ),
)

ARMS: dict[str, ArmKind] = {row.name: row for row in _ROWS}
"""All kinds of arms by name, in the order in which recipes and reports have them."""


def asked_for(names: Collection[str] | None, settings: object) -> tuple[str, ...]:
    """Names of the rows that somebody asks for, in the table's order.

    Args:
        names: Those named, or None for all that need no asking.
        settings: Has the settings that some rows are asked for by.
    """
    return tuple(
        row.name
        for row in ARMS.values()
        if (row.name in names if names is not None else row.asked_by is None)
        or (row.asked_by is not None and getattr(settings, row.asked_by))
    )
