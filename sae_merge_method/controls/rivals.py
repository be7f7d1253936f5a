"""Which layers, or parts of layers, each kind of arm opens, for a recipe that opens some."""

from collections.abc import Callable, Iterable
from itertools import islice

from sae_merge_method.controls.ground import Ground, NoArmError
from sae_merge_method.controls.layer_sets import depth_matched, random_sets, spread_sets
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
    """The same, unless the recipe opens every layer: then there is no arm."""

    def layers(ground: Ground) -> Iterable[Units]:
        if len(layers_of(ground.selected)) == ground.n_layers:
            raise NoArmError("the recipe opens every layer: there are no other layers to control with")
        return choose(ground)

    return layers


def lowest_scores(ground: Ground) -> Iterable[Units]:
    """As many as the recipe opens, with the lowest scores of their kind.

    Raises:
        NoArmError: Fewer have a score.
    """
    return [_as_many(lowest(ground.scores, ground.selected), ground, "were diagnosed")]


def largest_task_vectors(ground: Ground) -> Iterable[Units]:
    """As many as the recipe opens, those of their kind that fine-tuning moved most."""
    return [_as_many(highest(ground.energies.task_vector, ground.selected), ground, "are there")]


def _as_many(units: Units, ground: Ground, known: str) -> Units:
    if len(units) < len(ground.selected):
        what = "layers or parts of them" if opens_parts(ground.selected) else "layers"
        raise NoArmError(f"fewer {what} {known} than the recipe opens")
    return units


def random_rivals(ground: Ground) -> Iterable[Units]:
    """Other layers drawn at random, opened in the recipe's ways."""
    sets = random_sets(ground.n_layers, layers_of(ground.selected))
    return islice(reopened(sets, ground.selected, ground.energies.injected), ground.random_layers)


def twins(ground: Ground) -> Iterable[Units]:
    """Other layers at the same mean depth, opened in the recipe's order."""
    layers = depth_matched(ground.n_layers, layers_of(ground.selected))
    return [in_the_same_order(layers, ground.selected)]


def swapped_parts(ground: Ground) -> Iterable[Units]:
    """In layers that the recipe opens in part, the other parts; none where it opens whole layers alone."""
    turned = other_parts(ground.selected, ground.energies.injected)
    return [turned] if opens_parts(turned) else []


def spread_rivals(ground: Ground) -> Iterable[Units]:
    """Other layers drawn at random, none of them neighbours, opened in the recipe's ways."""
    drawn = spread_sets(ground.n_layers, layers_of(ground.selected))
    sets = list(islice(reopened(drawn, ground.selected, ground.energies.injected), ground.random_spread))
    if ground.random_spread and not sets:
        raise NoArmError("the recipe opens too many layers for others of which none are neighbours")
    return sets
