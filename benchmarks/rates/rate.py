"""What a row of ``calibration.py`` is: what a test, interval or gate promises, and how to count it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Hits(NamedTuple):
    """How often it happened."""

    hits: int
    trials: int


class Bound(NamedTuple):
    """Where a rate has to lie."""

    low: float
    high: float

    def __str__(self) -> str:
        if self.low == 0:
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high == 1 else f"{self.low:g} to {self.high:g}"


def at_most(high: float) -> Bound:
    """For false alarms."""
    return Bound(0, high)


def at_least(low: float) -> Bound:
    """For power and coverage."""
    return Bound(low, 1)


class Rate(NamedTuple):
    """One promise."""

    name: str
    """What is counted, in words; tells the row from every other."""
    assumes: str
    """What the simulated world is like, and so under what assumption the promise is held."""
    bound: Bound
    """The nominal rate."""
    simulate: Callable[[np.random.Generator, int], Hits]
    """Counts in so many simulated worlds, through the product's own functions."""
    trials: int
    """Worlds to simulate: enough to tell the bound from its neighbours, within a minute or so."""

    def hits(self, scale: float) -> Hits:
        """The simulation; its numbers depend on nothing but the row's name and the number of worlds."""
        generator = np.random.default_rng(zlib.crc32(self.name.encode()))
        return self.simulate(generator, max(1, round(self.trials * scale)))
