"""Sets of layers that a selection is held against; which arm takes which is the table's affair."""

from collections.abc import Collection, Iterator, Mapping
from math import comb
from random import Random

Layers = tuple[int, ...]


def random_sets(n_layers: int, selected: Layers) -> Iterator[Layers]:
    """All sets of as many layers other than ``selected``, each once, in an order that is always the same.

    The stream is Python's own generator, seeded by a fixed text: the set with a given number
    depends on ``n_layers`` and the selection alone.
    """
    seen = {tuple(sorted(selected))}
    left = comb(n_layers, len(selected)) - 1
    rng = Random("random layers")
    while left:
        drawn = tuple(sorted(rng.sample(range(n_layers), len(selected))))
        if drawn not in seen:
            seen.add(drawn)
            left -= 1
            yield drawn


def depth_matched(n_layers: int, selected: Layers) -> Layers:
    """As many other layers at the same mean depth.

    Of all sets of that size: those that share fewest layers with the selection (none, where it
    is at most half of the model); of these, those whose mean depth is closest to its mean; of
    these, the one whose layers, taken in order, lie closest to the selected ones in sum; then
    the first in lexicographic order. Found by dynamic programming over (layers taken, their sum).
    """
    wanted = tuple(sorted(selected))
    size = len(wanted)
    # (layers taken, sum of their numbers) -> (shared with the selection, displacement, the layers)
    best: dict[tuple[int, int], tuple[int, int, Layers]] = {(0, 0): (0, 0, ())}
    for layer in range(n_layers):
        for (taken, total), (shared, moved, layers) in list(best.items()):
            if taken == size:
                continue
            key = (taken + 1, total + layer)
            extended = (shared + (layer in wanted), moved + abs(layer - wanted[taken]), (*layers, layer))
            if key not in best or extended < best[key]:
                best[key] = extended
    return min(
        (shared, abs(total - sum(wanted)), moved, layers)
        for (taken, total), (shared, moved, layers) in best.items()
        if taken == size and layers != wanted
    )[-1]


def highest(values: Mapping[int, float], size: int) -> Layers:
    """The ``size`` layers with the largest values; ties go to the lower layer."""
    return tuple(sorted(sorted(values, key=lambda layer: (-values[layer], layer))[:size]))


def lowest(values: Mapping[int, float], size: int) -> Layers:
    """The ``size`` layers with the smallest values; ties go to the lower layer."""
    return tuple(sorted(sorted(values, key=lambda layer: (values[layer], layer))[:size]))


def overlap(one: Collection[int], other: Collection[int]) -> int:
    """How many layers two sets share."""
    return len(set(one) & set(other))
