"""Which layers, or parts of layers, each kind of arm opens, for a recipe that opens some."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from sae_merge_method.controls.ground import Ground, NoArmError
from sae_merge_method.controls.layer_sets import random_sets, spread_sets
from sae_merge_method.controls.unit_sets import (
    Units,
    highest,
    lowest,
    opens_parts,
    other_parts,
    reopened,
    twin,
)
from sae_merge_method.layers import Unit, by_depth, layers_of, part_of_layer


def selected(ground: Ground) -> Iterable[Units]:
    """The recipe's own."""
    return [ground.selected]


def every_layer(ground: Ground) -> Iterable[Units]:
    """All layers, whole."""
    return [tuple(range(ground.n_layers))]


def each_alone(ground: Ground) -> Iterable[Units]:
    """Every layer alone; where the recipe opens parts of layers, every unit of these kinds."""
    kinds = set(map(part_of_layer, ground.selected))
    units = sorted(ground.energies.injected, key=by_depth)
    return [(unit,) for unit in units if part_of_layer(unit) in kinds]


def if_there_are_others(choose: Callable[[Ground], Iterable[Units]]) -> Callable[[Ground], Iterable[Units]]:
    """The same, unless there are no other layers: then there is no arm."""

    def layers(ground: Ground) -> Iterable[Units]:
        if len(layers_of(ground.selected)) == ground.n_layers:
            raise NoArmError("the recipe opens every layer: there are no other layers to control with")
        if not _of_its_kinds(ground).difference(ground.selected):
            raise _too_few(ground)
        return choose(ground)

    return layers


def lowest_scores(ground: Ground) -> Iterable[Units]:
    """As many as the recipe opens, with the lowest scores of their kind.

    Raises:
        NoArmError: Fewer have a score, or there are fewer that the donor changes.
    """
    if len(lowest(ground.scores, ground.selected)) < len(ground.selected):
        what = "layers or parts of them" if opens_parts(ground.selected) else "layers"
        raise NoArmError(f"fewer {what} were diagnosed than the recipe opens")
    return [_as_many(lowest(_changed_ones(ground.scores, ground), ground.selected), ground)]


def largest_task_vectors(ground: Ground) -> Iterable[Units]:
    """As many as the recipe opens, those of their kind that fine-tuning moved most.

    Raises:
        NoArmError: There are fewer that the donor changes.
    """
    moved = _changed_ones(ground.energies.task_vector, ground)
    return [_as_many(highest(moved, ground.selected), ground)]


def random_rivals(ground: Ground) -> Iterable[Units]:
    """Other layers drawn at random, opened in the recipe's ways.

    Raises:
        NoArmError: There are none that the donor changes.
    """
    drawn = random_sets(ground.n_layers, layers_of(ground.selected), drawn_among(ground))
    sets = list(islice(reopened(drawn, ground.selected, ground.changed), ground.random_layers))
    if ground.random_layers and not sets:
        raise _too_few(ground)
    return sets


def twins(ground: Ground) -> Iterable[Units]:
    """Other layers at the same mean depth, opened in the recipe's order.

    Raises:
        NoArmError: There are fewer that the donor changes.
    """
    units = twin(ground.n_layers, ground.selected, ground.changed)
    if units is None:
        raise _too_few(ground)
    return [units]


def swapped_parts(ground: Ground) -> Iterable[Units]:
    """In layers that the recipe opens in part, the other parts; none where it opens whole layers alone."""
    turned = other_parts(ground.selected, ground.energies.injected)
    return [turned] if opens_parts(turned) else []


def spread_rivals(ground: Ground) -> Iterable[Units]:
    """Other layers drawn at random, none of them neighbours, opened in the recipe's ways.

    Raises:
        NoArmError: There are none.
    """
    drawn = spread_sets(ground.n_layers, layers_of(ground.selected), drawn_among(ground))
    tried = islice(drawn, _TRIED + ground.random_spread)
    sets = list(islice(reopened(tried, ground.selected, ground.changed), ground.random_spread))
    if ground.random_spread and not sets:
        if drawn_among(ground) is not None:
            raise _too_few(ground)
        raise NoArmError("the recipe opens too many layers for others of which none are neighbours")
    return sets


def drawn_among(ground: Ground) -> tuple[int, ...] | None:
    """Layers that rivals are drawn from, in which the donor changes what the recipe opens; None for all."""
    layers = _layers(ground)
    return layers if len(layers) < ground.n_layers else None


_TRIED = 5000
"""Sets without neighbours that are tried for parts which few layers have."""


def _of_its_kinds(ground: Ground) -> set[Unit]:
    """What may be opened in the place of the selection, unit by unit."""
    kinds = set(map(part_of_layer, ground.selected))
    return {unit for unit in ground.changed if part_of_layer(unit) in kinds}


def _layers(ground: Ground) -> tuple[int, ...]:
    return layers_of(_of_its_kinds(ground))


def _changed_ones(values: Mapping[Unit, float], ground: Ground) -> dict[Unit, float]:
    changed = ground.changed
    return {unit: value for unit, value in values.items() if unit in changed}


def _as_many(units: Units, ground: Ground) -> Units:
    if len(units) < len(ground.selected):
        raise _too_few(ground)
    return units


def _too_few(ground: Ground) -> NoArmError:
    what = "layers with such parts" if opens_parts(ground.selected) else "layers"
    return NoArmError(f"there are too few other {what} that the donor changes")
