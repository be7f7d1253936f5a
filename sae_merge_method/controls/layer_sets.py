"""Sets of layers that a selection is held against; which arm takes which is the table's affair."""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import combinations, pairwise
from math import comb
from random import Random

Layers = tuple[int, ...]


def runs(layers: Collection[int], among: Collection[int] | None = None) -> int:
    """How many unbroken runs a set of layers has: its contiguity, 1 for a single block of the model.

    Args:
        layers: The set.
        among: The layers that count: where none of these lies between two of the set, these are neighbours.
            None for all.
    """
    if among is None:
        return sum(layer - 1 not in layers for layer in layers)
    apart = [any(low < place < high for place in among) for low, high in pairwise(sorted(layers))]
    return sum(apart) + bool(layers)


def mean_depth(layers: Collection[int]) -> float:
    """Mean number of the layers, of which there is at least one."""
    return sum(layers) / len(layers)


def is_matched(n_layers: int, selected: Layers, layers: Layers, among: Collection[int] | None = None) -> bool:
    """Whether a set may stand for ``selected`` where both were chosen by chance.

    What layers gain is smooth in depth, so a block gains otherwise than layers that lie scattered, and the
    middle otherwise than the ends: a fair rival has as many layers in as many runs, and lies nearer than a
    third of the model on average.

    Args:
        n_layers: The model's.
        selected: The selection.
        layers: The set.
        among: Layers that such sets are drawn from, among which runs are counted; None for all.
    """
    return (
        len(layers) == len(selected)
        and runs(layers, among) == runs(selected, among)
        and abs(mean_depth(layers) - mean_depth(selected)) < n_layers * _NEAR
    )


_NEAR = 1 / 3
"""Of the model's depth."""
_BAND = 1 / 10
"""Of the model's depth: sets whose mean depths differ by less from the selection's are alike."""
_POOL = 5000
"""Most sets of each number of runs that are drawn from; smaller classes are drawn from whole."""


def random_sets(n_layers: int, selected: Layers, among: Collection[int] | None = None) -> Iterator[Layers]:
    """Sets of as many layers other than ``selected``, each once, the best matched first.

    First come sets of as many runs, then those of other numbers of runs, the nearest number first. Within a
    number of runs the sets are drawn at random, band by band of mean depth, a tenth of the model wide: those
    about as deep as the selection come first. The order is always the same. Python's own generator is seeded
    by a fixed text: the set with a given number depends on what is given alone.

    Args:
        n_layers: The model's.
        selected: The selection.
        among: Layers to draw from; None for all. Where they have gaps, runs are counted among these, the
            selection's too: by the model's own numbers of layers all sets would be alike, and those that lie
            most scattered would come first. Of as many runs among these, those that touch as often as the
            selection come first.
    """
    chosen, size = tuple(sorted(selected)), len(selected)
    places = sorted(range(n_layers) if among is None else among)
    rng = Random("random layers")
    wanted = runs(chosen, among)
    parts = sorted(range(1, min(size, len(places) - size + 1) + 1), key=lambda n: (abs(n - wanted), n))

    def distance(layers: Layers) -> tuple[int, int]:
        apart = abs(mean_depth(layers) - mean_depth(chosen))
        return abs(runs(layers) - runs(chosen)), int(apart / (_BAND * n_layers))

    for count in parts:
        pool = [tuple(places[place] for place in drawn) for drawn in _drawn(len(places), size, count, rng)]
        pool.sort(key=distance)
        yield from (layers for layers in pool if layers != chosen)


def _drawn(n_layers: int, size: int, count: int, rng: Random) -> list[Layers]:
    """Sets of ``size`` layers in ``count`` runs, in random order: all of them, or ``_POOL`` of them.

    Such a set is a way to cut ``size`` into ``count`` runs, and the gaps between the other layers (ends
    included) into which the runs go; so every set is as likely as any other.
    """
    gaps = n_layers - size + 1
    if comb(size - 1, count - 1) * comb(gaps, count) <= _POOL:
        every = [
            _laid(cuts, slots, size)
            for cuts in combinations(range(1, size), count - 1)
            for slots in combinations(range(gaps), count)
        ]
        rng.shuffle(every)
        return every
    drawn: dict[Layers, None] = {}
    while len(drawn) < _POOL:
        cuts, slots = rng.sample(range(1, size), count - 1), rng.sample(range(gaps), count)
        drawn.setdefault(_laid(sorted(cuts), sorted(slots), size))
    return list(drawn)


def spread_sets(n_layers: int, selected: Layers, among: Collection[int] | None = None) -> Iterator[Layers]:
    """Sets of as many layers other than ``selected``, none of them neighbours, each once and as likely as
    any.

    The order is always the same, as that of :func:`random_sets`. None where the model is not deep enough.

    Args:
        n_layers: The model's.
        selected: The selection.
        among: Layers to draw from; None for all.
    """
    if among is not None and len(among) < n_layers:
        yield from _spread_among(tuple(sorted(among)), tuple(sorted(selected)))
        return
    # Without the one layer that must follow each but the last, such a set is any set of a shorter model.
    shorter, size = n_layers - len(selected) + 1, len(selected)
    if shorter < size:
        return
    rng, every = Random("spread layers"), comb(shorter, size)
    drawn: set[Layers] = {tuple(sorted(selected))}
    left = every - (runs(selected) == size)
    while left:
        slots = sorted(rng.sample(range(shorter), size))
        layers = tuple(slot + number for number, slot in enumerate(slots))
        if layers not in drawn:
            drawn.add(layers)
            left -= 1
            yield layers


def _spread_among(places: Layers, selected: Layers) -> Iterator[Layers]:
    """The same of some layers: a set is drawn by its number among all there are."""
    size, end = len(selected), len(places)
    after = [at + 1 + (at + 1 < end and places[at + 1] == places[at] + 1) for at in range(end)]
    # How many sets of so many layers there are from a place on.
    ways = [[1] + [0] * size for _ in range(end + 1)]
    for at in reversed(range(end)):
        for left in range(1, size + 1):
            ways[at][left] = ways[at + 1][left] + ways[after[at]][left - 1]
    rng, every = Random("spread layers"), ways[0][size]
    drawn: set[int] = set()
    while len(drawn) < every:
        number = rng.randrange(every)
        if number in drawn:
            continue
        drawn.add(number)
        layers: list[int] = []
        at = 0
        while len(layers) < size:
            without = ways[at + 1][size - len(layers)]
            if number < without:
                at += 1
            else:
                number -= without
                layers.append(places[at])
                at = after[at]
        if tuple(layers) != selected:
            yield tuple(layers)


def every_nth(n_layers: int, n: int) -> Layers:
    """One layer of every ``n``, as far from either end as can be."""
    count = max(1, n_layers // n)
    first = (n_layers - 1 - (count - 1) * n) // 2
    return tuple(range(first, n_layers, n))[:count]


def windows(n_layers: int, count: int) -> list[Layers]:
    """The depth in so many blocks of neighbours, as equal as can be; no more than there are layers."""
    count = min(count, n_layers)
    ends = [n_layers * number // count for number in range(count + 1)]
    return [tuple(range(start, end)) for start, end in pairwise(ends)]


def _laid(cuts: Iterable[int], slots: Iterable[int], size: int) -> Layers:
    """The layers, from where the runs are cut and which gap each goes into."""
    ends = [0, *cuts, size]
    return tuple(
        slot + number
        for slot, start, end in zip(slots, ends, ends[1:], strict=False)
        for number in range(start, end)
    )


def depth_matched(
    n_layers: int, selected: Layers, fits: Callable[[int, int], bool] = lambda place, layer: True
) -> Layers | None:
    """As many other layers at the same mean depth; None where there are not as many.

    Of all sets of that size: those that share fewest layers with the selection (none, where it
    is at most half of the model); of these, those whose mean depth is closest to its mean; of
    these, the one whose layers, taken in order, lie closest to the selected ones in sum; then
    the first in lexicographic order. Found by dynamic programming over (layers taken, their sum).

    Args:
        n_layers: The model's.
        selected: The selection.
        fits: From a place in the order of depth and a layer to whether that may stand there.
    """
    wanted = tuple(sorted(selected))
    size = len(wanted)
    # (layers taken, sum of their numbers) -> (shared with the selection, displacement, the layers)
    best: dict[tuple[int, int], tuple[int, int, Layers]] = {(0, 0): (0, 0, ())}
    for layer in range(n_layers):
        for (taken, total), (shared, moved, layers) in list(best.items()):
            if taken == size or not fits(taken, layer):
                continue
            key = (taken + 1, total + layer)
            extended = (shared + (layer in wanted), moved + abs(layer - wanted[taken]), (*layers, layer))
            if key not in best or extended < best[key]:
                best[key] = extended
    found = [
        (shared, abs(total - sum(wanted)), moved, layers)
        for (taken, total), (shared, moved, layers) in best.items()
        if taken == size and layers != wanted
    ]
    return min(found)[-1] if found else None
