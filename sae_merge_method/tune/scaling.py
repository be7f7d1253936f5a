"""A shape made as large as the damage allows: one factor for all weights, found by measuring."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sae_merge_method.tune.bench import Bench, MeasuredEdit
from sae_merge_method.tune.edit import Edit, Shape

MOST = 1.2
"""Largest weight of any layer or module: the whole task vector and a little more."""
_TRIES = 5
_NEAR = 0.85
"""A damage above this share of what is allowed is near enough."""
_AIM = 0.93
"""Of what is allowed: where a try goes."""
_POWER = 1.5
"""Damage grows at first as a weight's square, later as the weight itself."""


class Scaled(NamedTuple):
    """One try."""

    factor: float
    measured: MeasuredEdit


def up_to_damage(
    bench: Bench, shape: Shape, part: str, allowed: float, *, most: float = MOST, guess: float | None = None
) -> Iterator[Scaled]:
    """Try factors of a shape until its damage is as large as allowed, or its largest weight is.

    Each try is measured on the part; damage is taken to grow as a power of the factor between tries.

    Args:
        bench: To measure on.
        shape: Weights of which the largest is above 0.
        part: Name of the part.
        allowed: Damage, in nats a token.
        most: Largest weight of any layer or module.
        guess: Factor to try first; the largest unless given.
    """
    largest = most / float(shape.max())
    low = Scaled(0.0, bench.measure(bench.base, part))
    high: list[Scaled] = []
    factor, tried = min(guess or largest, largest), set()
    for _ in range(_TRIES):
        edit = Edit.of(factor * shape)
        if edit in tried or not edit.layers:
            return
        tried.add(edit)
        here = Scaled(factor, bench.measure(edit, part))
        yield here
        damage = here.measured.damage
        if damage > allowed:
            high.append(here)
        elif factor >= largest or damage >= _NEAR * allowed:
            return
        else:
            low = here
        factor = _next(low, high, allowed, largest)


def _next(low: Scaled, high: Sequence[Scaled], allowed: float, largest: float) -> float:
    """Where damage should be a little less than allowed, between too little and too much.

    Args:
        low: The largest factor so far whose damage is allowed.
        high: Those whose damage is not, each smaller than the one before.
        allowed: Damage, in nats a token.
        largest: Factor at which the largest weight is as large as it may be.
    """
    aim, below = _AIM * allowed, low.measured.damage
    if not high:
        growth = float((aim / below) ** (1 / _POWER)) if below > 0 else 2.0
        return min(largest, low.factor * min(3.0, max(1.05, growth)))
    nearest = high[-1]
    other = low if below > 0 and low.factor > 0 else high[-2] if len(high) > 1 else None
    factor = nearest.factor * float((aim / nearest.measured.damage) ** (1 / _power(nearest, other)))
    # Between the two, and not at either: noise can put the power anywhere.
    room = 0.1 * (nearest.factor - low.factor) if low.factor else 0.0
    return min(nearest.factor - room, max(low.factor + room, factor))


def _power(one: Scaled, other: Scaled | None) -> float:
    """As which power of the factor damage grows between two tries."""
    if other is None:
        return _POWER
    grown = math.log(one.measured.damage / other.measured.damage)
    return max(0.5, grown / math.log(one.factor / other.factor))


def largest_within(tries: list[Scaled], allowed: float) -> Scaled | None:
    """Of tries, the one with the largest factor whose damage is allowed; None where none is."""
    within = [one for one in tries if one.measured.damage <= allowed]
    return max(within, key=lambda one: one.factor) if within else None
