"""So many layers, so far apart: how rules ask for them, which are taken, how many of a set are neighbours.

Scores of neighbouring layers are alike, and what neighbours do is partly the same: the layers with the
highest scores are mostly a block. A part of a layer lies where its layer does: its neighbours are the parts
of the layers next to it, and the other part of its own.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sae_merge_method.errors import UsageError
from sae_merge_method.layers import Unit, UnitT, by_depth, layer_of

NO_NEIGHBOURS = 2
"""Least gap at which no two layers are neighbours."""


def adjacent(layers: Iterable[Unit]) -> int:
    """How many layers, or parts of layers, of a set have a neighbour in it."""
    members = set(layers)
    at = Counter(map(layer_of, members))
    return sum(at[layer] > 1 or layer - 1 in at or layer + 1 in at for layer in map(layer_of, members))


def adjacency(layers: Iterable[Unit]) -> str:
    """The same in words: ``"2 of 3 adjacent"``."""
    members = set(layers)
    return f"{adjacent(members)} of {len(members)} adjacent"


def read_count(text: str) -> int:
    """A number of layers.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise ValueError("a whole number of at least 1")
    return count


class Apart(NamedTuple):
    """How many layers to take, and how far from each other. ``str`` writes what :func:`read_apart` reads."""

    size: int
    gap: int = 1
    """Least difference between the numbers of any two of them, or of the layers that they lie in."""

    def __str__(self) -> str:
        return f"{self.size},gap={self.gap}" if self.gap > 1 else str(self.size)


def read_apart(text: str) -> Apart:
    """Read ``"6"``, or ``"6,gap=3"``.

    Raises:
        ValueError: It is neither; the message says what it must be.
    """
    count, comma, rest = text.partition(",")
    if not comma:
        return Apart(read_count(count))
    key, _, gap = rest.partition("=")
    if key.strip() != "gap":
        raise ValueError("a whole number of at least 1, alone or with a gap as in 6,gap=3")
    return Apart(read_count(count), read_count(gap))


def highest_apart(scores: Mapping[UnitT, float], apart: Apart, rule: str) -> tuple[UnitT, ...]:
    """Of all sets of so many layers so far apart, the one with the largest sum of scores, ascending.

    By dynamic programming over the layers in order: taking the highest score first and leaving out what is
    too near to it can end with too few layers, or with less. Of sets with the same sum, the one whose last
    layers are lower.

    Args:
        scores: By layer, or part of one.
        apart: How many, and how far apart.
        rule: As the user wrote it, for messages.

    Raises:
        UsageError: There is no such set.
    """
    order = sorted(scores, key=by_depth)
    at = [layer_of(unit) for unit in order]
    # best[i][n]: of the first i layers, the best set of n
    best: list[list[_Set | None]] = [[_Set(0.0, ()), *[None] * apart.size]]
    for number, layer in enumerate(order):
        far_enough = best[bisect_right(at, layer_of(layer) - apart.gap, hi=number)]
        row = list(best[number])
        for size in range(1, apart.size + 1):
            before, without = far_enough[size - 1], row[size]
            if before is None:
                continue
            total = before.total + scores[layer]
            if without is None or total > without.total:
                row[size] = _Set(total, (*before.layers, layer))
        best.append(row)
    sets = best[-1]
    whole = sets[apart.size]
    if whole is None:
        most = max(size for size, one in enumerate(sets) if one is not None)
        raise UsageError(
            f"{rule} asks for {apart.size} layers, any two at least {apart.gap} apart: of the {len(order)} "
            f"that have a score at most {most} are"
        )
    return whole.layers


class _Set(NamedTuple):
    total: float
    layers: tuple[Any, ...]
