"""The table of arms: what each control changes, what it controls for, and how much it injects.

Recipes, settings, help, plans and reports read the table; how a recipe is written from a row is for
:mod:`.write`, what the arms say together for the claims of an experiment's report.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import Any

from sae_merge_method.controls.kinds import ArmKind, Ground, NoArmError
from sae_merge_method.controls.layer_sets import depth_matched, every_nth, random_sets, spread_sets, windows
from sae_merge_method.controls.unit_sets import (
    Units,
    highest,
    in_the_same_order,
    lowest,
    opens_parts,
    other_parts,
    reopened,
)
from sae_merge_method.layers import by_depth, layers_of, part_of_layer


def _selected(ground: Ground) -> Iterable[Units]:
    return [ground.selected]


def _every(ground: Ground) -> Iterable[Units]:
    return [tuple(range(ground.n_layers))]


def _each(ground: Ground) -> Iterable[Units]:
    """Every layer alone; where the recipe opens parts of layers, every unit of these kinds."""
    kinds = set(map(part_of_layer, ground.selected))
    units = sorted(ground.energies.injected, key=by_depth)
    return [(unit,) for unit in units if part_of_layer(unit) in kinds]


def _other(choose: Callable[[Ground], Iterable[Units]]) -> Callable[[Ground], Iterable[Units]]:
    def layers(ground: Ground) -> Iterable[Units]:
        if len(layers_of(ground.selected)) == ground.n_layers:
            raise NoArmError("the recipe opens every layer: there are no other layers to control with")
        return choose(ground)

    return layers


def _lowest(ground: Ground) -> Iterable[Units]:
    return [_as_many(lowest(ground.scores, ground.selected), ground, "were diagnosed")]


def _largest(ground: Ground) -> Iterable[Units]:
    return [_as_many(highest(ground.energies.task_vector, ground.selected), ground, "are there")]


def _as_many(units: Units, ground: Ground, known: str) -> Units:
    if len(units) < len(ground.selected):
        what = "layers or parts of them" if opens_parts(ground.selected) else "layers"
        raise NoArmError(f"fewer {what} {known} than the recipe opens")
    return units


def _random(ground: Ground) -> Iterable[Units]:
    sets = random_sets(ground.n_layers, layers_of(ground.selected))
    return islice(reopened(sets, ground.selected, ground.energies.injected), ground.random_layers)


def _twins(ground: Ground) -> Iterable[Units]:
    layers = depth_matched(ground.n_layers, layers_of(ground.selected))
    return [in_the_same_order(layers, ground.selected)]


def _other_parts(ground: Ground) -> Iterable[Units]:
    turned = other_parts(ground.selected, ground.energies.injected)
    return [turned] if opens_parts(turned) else []


def _spread(ground: Ground) -> Iterable[Units]:
    drawn = spread_sets(ground.n_layers, layers_of(ground.selected))
    sets = list(islice(reopened(drawn, ground.selected, ground.energies.injected), ground.random_spread))
    if ground.random_spread and not sets:
        raise NoArmError("the recipe opens too many layers for others of which none are neighbours")
    return sets


def _kept(mode: str) -> Callable[[Ground, Units], float]:
    return lambda ground, layers: ground.energies.kept[mode]


def _scalpel(mode: str) -> Callable[[Ground], Mapping[str, Any]]:
    return lambda ground: {**ground.scalpel, "mode": mode}


def _damped(ground: Ground) -> float:
    whole = ground.energies.of(range(ground.n_layers))
    return ground.factor("all-layers-damped", whole, ground.energy)


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
        _selected,
        always=True,
    ),
    ArmKind(
        "base",
        "base",
        "nothing injected: where every other arm starts from",
        _selected,
        energy=lambda ground, layers: 0.0,
        factor=lambda ground: 0.0,
        as_it_is="the base itself: where every other arm starts from",
        always=True,
    ),
    ArmKind(
        "donor",
        "donor",
        "the donor's own decoder layers, all of them at weight 1: the most the task vector has to give",
        _every,
        weights=lambda ground: (1.0,),
        as_it_is="the donor itself, embeddings and head included: the most the edit could give",
    ),
    ArmKind(
        "all-layers", "amount", "whether choosing layers matters at all: the same weight everywhere", _every
    ),
    ArmKind(
        "all-layers-damped",
        "amount",
        "whether it is only the smaller dose: every layer, alpha scaled down to the stethoscope's energy",
        _every,
        energy=lambda ground, layers: _damped(ground) ** 2 * ground.energies.of(layers),
        factor=_damped,
        like="stethoscope",
    ),
    ArmKind(
        "damped",
        "amount",
        "the damping curve: every layer at a smaller weight, what any choice of layers has to beat at its "
        "damage",
        _every,
        numbered=True,
        weights=lambda ground: ground.damping,
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
        weights=lambda ground: ground.damping,
    ),
    ArmKind(
        "random-layers",
        "random",
        "whether these layers matter or any would do: as many layers drawn at random",
        _other(_random),
        numbered=True,
    ),
    ArmKind(
        "random-spread",
        "random",
        "whether lying apart is enough: as many layers drawn at random, none of them neighbours",
        _other(_spread),
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
        _other(_twins),
    ),
    ArmKind(
        "other-parts",
        "layers",
        "the parts: in layers that are open in part, attention in place of the MLP and the reverse, at the "
        "recipe's energy",
        _other_parts,
    ),
    ArmKind(
        "largest-task-vector",
        "layers",
        "size: the layers in which fine-tuning moved most, no SAE needed to find them",
        _other(_largest),
    ),
    ArmKind(
        "lowest-specificity",
        "layers",
        "the score: as many layers with the lowest specificity",
        _other(_lowest),
    ),
    ArmKind(
        "scalpel",
        "scalpel",
        "the rejected side: only the part inside the span of the selected SAE features",
        _selected,
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
        _selected,
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
        _selected,
        energy=lambda ground, layers: _small(ground) ** 2 * ground.energy,
        parameters=lambda ground: {"energy": _small(ground) ** 2},
        like="scalpel",
        measures=("project",),
    ),
    ArmKind(
        "layer",
        "layer",
        "what the score predicts: this layer alone, its gain beside its specificity",
        _each,
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
