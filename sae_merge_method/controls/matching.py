"""Scale an arm until what is stored of it has the energy of another: a search for one factor.

Rounding to nearest swallows of a small edit more than of a large one, so arms of equal intended energy are
not equal in what is stored. That grows with the factor, apart from steps where few values make all of it.
Rounding that keeps the mean swallows nothing: there arms of equal intended energy are equal in what acts.
"""

from collections.abc import Callable
from typing import NamedTuple

TOLERANCE = 0.02
"""Of the energy: as near as arms have to be to be called equal."""
_ENOUGH = 1e-3
_WIDEST = 64.0
_HALVINGS = 40


class Match(NamedTuple):
    """How an arm gets the energy of another."""

    factor: float
    """Times the weights."""
    as_float32: bool
    """Whether it is written as float32, where what is stored is what was to be added: rounded to the recipe's
    dtype, no factor would do."""


def match(realised: Callable[[float], float], target: float, start: float) -> Match:
    """Find the factor at which an arm has an energy.

    Args:
        realised: From a factor to the energy of what is stored.
        target: The energy to have.
        start: Factor at which what is to be added has that energy, above 0.

    Returns:
        A factor within the tolerance; else ``start``, to be written as float32.
    """
    if not target:
        return Match(start, as_float32=True)
    low, high = start, start
    while realised(low) > target and low > start / _WIDEST:
        low /= 2
    while realised(high) < target and high < start * _WIDEST:
        high *= 2
    best, apart = start, abs(realised(start) / target - 1)
    for _ in range(_HALVINGS):
        if apart <= _ENOUGH:
            break
        middle = (low * high) ** 0.5
        reached = realised(middle)
        if abs(reached / target - 1) < apart:
            best, apart = middle, abs(reached / target - 1)
        if reached < target:
            low = middle
        else:
            high = middle
    return Match(best, as_float32=False) if apart <= TOLERANCE else Match(start, as_float32=True)
