"""The claim that an arm lies above the damping curve, or below: arms that lie on it, just beside its end, or
off it."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from rates.rate import Hits, Rate, at_least, at_most
from sae_merge_method.statistics.interpolation import excess_over_line, share_of_cost

ALPHA = 0.05
TOKENS = 60
"""Of a passage."""
SPREAD = 0.05
"""Of passages' damage, nats a token: skewed, and mostly the same under all three arms."""


class World(NamedTuple):
    """An arm beside two arms of the curve, that gain 50 and 75 % and do .01 and .022 nats a token of
    damage."""

    share: float = 0.4
    """How far along the curve the arm's damage truly lies."""
    above: float = 0.0
    """How far above the curve it gains."""
    passages: int = 300
    problems: int = 540


def called_off_the_curve(generator: np.random.Generator, trials: int, *, world: World) -> Hits:
    """How often an arm is called above or below the curve; those whose damage cannot be told apart are
    not."""
    hits = 0
    for _ in range(trials):
        share = share_of_cost(*_nats(generator, world))
        if not isinstance(share, str):
            p = excess_over_line(share, *_outcomes(generator, world)).p
            hits += p is not None and p < ALPHA
    return Hits(hits, trials)


def _nats(generator: np.random.Generator, world: World) -> list[list[float]]:
    """Damage of every passage under the arm, the cheaper and the dearer one."""

    def skewed() -> np.ndarray:
        return generator.exponential(1, world.passages) - 1

    low = 0.01 + SPREAD * skewed()
    far = low + 0.012 + SPREAD / 2 * skewed()
    arm = low + world.share * 0.012 + SPREAD / 2 * skewed()
    return [(TOKENS * one).tolist() for one in (arm, low, far)]


def _outcomes(generator: np.random.Generator, world: World) -> list[list[float]]:
    """Whether each problem is solved under the three: they mostly agree."""
    hardness = generator.normal(0, 1, world.problems)
    solved = [0.5 + 0.25 * world.share + world.above, 0.5, 0.75]
    return [
        (hardness + generator.normal(0, 0.8, world.problems) < 1.64**0.5 * norm.ppf(one))
        .astype(float)
        .tolist()
        for one in solved
    ]


RATES = (
    Rate(
        "an arm on the damping curve is called above or below it",
        "two fifths of the way between two arms; 300 passages, skewed; 540 problems",
        at_most(ALPHA),
        partial(called_off_the_curve, world=World()),
        4000,
    ),
    Rate(
        "an arm on the damping curve, near its end, is called above or below it",
        "nine tenths of the way to the last arm: the measured damage often lies beyond it",
        at_most(ALPHA),
        partial(called_off_the_curve, world=World(share=0.9)),
        4000,
    ),
    Rate(
        "an arm 8 points above the damping curve is called above or below it",
        "two fifths of the way; 300 passages, 540 problems",
        at_least(0.5),
        partial(called_off_the_curve, world=World(above=0.08)),
        2000,
    ),
)
