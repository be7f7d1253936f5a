"""The claim that an arm lies above the damping curve, or below, and what it damages at equal gain: arms that
lie on it, just beside its end, or off it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from rates.rate import Hits, Rate, at_least, at_most
from sae_merge_method.statistics.along_line import share_apart, share_of_cost
from sae_merge_method.statistics.equal_gain import CostRatio, Point, cost_at_equal_gain
from sae_merge_method.statistics.interpolation import excess_over_each, excess_over_line, excess_over_near

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


def called_above_all(
    generator: np.random.Generator, trials: int, *, above: float = 0.0, problems: int = 60
) -> Hits:
    """How often an arm is called above all of a curve of six, whose last three gain 60, 68 and 70 %: an arm
    that gains 70 %, and so much more."""
    hits = 0
    for _ in range(trials):
        hardness = generator.normal(0, 1, problems)
        arm, *curve = (
            (hardness + generator.normal(0, 0.8, problems) < 1.64**0.5 * norm.ppf(one)).astype(float).tolist()
            for one in (0.7 + above, 0.3, 0.4, 0.5, 0.6, 0.68, 0.7)
        )
        p = excess_over_each(arm, curve)[1].p
        hits += p is not None and p < ALPHA
    return Hits(hits, trials)


class Spared(NamedTuple):
    """An edit that gains what all layers do at a weight between two, at a share of their damage."""

    ratio: float
    problems: int = 60
    passages: int = 60
    harm: float = 0.1
    """Damage of the whole curve's end, in the mean over passages."""


def losses(generator: np.random.Generator, world: Spared) -> Callable[..., Point]:
    """Gains that grow as the weight does, and damage as its square, each text to its own skewed degree: the
    curve bends downwards over damage."""
    ease = generator.exponential(1, world.problems)
    frailty = generator.exponential(1, world.passages)

    def edit(weight: float, ratio: float = 1.0) -> Point:
        gains = weight * ease + 0.1 * generator.standard_t(5, world.problems)
        costs = ratio * world.harm * weight**2 * frailty + 0.01 * generator.standard_t(5, world.passages)
        return Point(gains.tolist(), costs.tolist())

    return edit


def called_off_a_bend(
    generator: np.random.Generator, trials: int, *, world: Spared, off: float = 1.0
) -> Hits:
    """How often an edit is called above or below a curve that bends: beside that of seven points, one of them
    at so many times the weight of equal damage, that seems to damage most nearly as much; by a slope that is
    told far around it."""
    hits = 0
    for _ in range(trials):
        edit = losses(generator, world)
        of_curve = 0.5 * world.ratio**0.5  # where the curve damages as the edit does
        at = edit(0.5, world.ratio)
        tried = [edit(of_curve * off * 1.12**step) for step in range(-3, 4)]
        near = min(tried, key=lambda one: abs(sum(one.costs) - sum(at.costs)))
        low, high = edit(of_curve * 0.75), edit(of_curve / 0.75)
        share = share_apart(at.costs, near.costs, low.costs, high.costs)
        if not isinstance(share, str):
            p = excess_over_near(share, at.gains, near.gains, low.gains, high.gains).p
            hits += p is not None and p < ALPHA
    return Hits(hits, trials)


def at_equal_gain(generator: np.random.Generator, world: Spared) -> CostRatio:
    """Of losses, beside two neighbours."""
    edit = losses(generator, world)
    weights = (0.4, 0.5, 0.6)
    # Where the line between neighbours has the damage that the edit's is a share of.
    s = 0.5
    line = (1 - s) * weights[1] ** 2 + s * weights[2] ** 2
    at = (1 - s) * weights[1] + s * weights[2]
    return cost_at_equal_gain(edit(at, world.ratio * line / at**2), [edit(one) for one in weights], 0.95)


def ratio_covered(generator: np.random.Generator, trials: int, *, world: Spared) -> Hits:
    """How often the interval holds the true ratio, of worlds where one is told."""
    intervals = [at_equal_gain(generator, world).interval for _ in range(trials)]
    told = [one for one in intervals if one is not None]
    return Hits(sum(one.low <= world.ratio <= one.high for one in told), len(told))


def called_unequal(generator: np.random.Generator, trials: int, *, world: Spared) -> Hits:
    """How often the damage is called less or more than the curve's."""
    found = [at_equal_gain(generator, world).p for _ in range(trials)]
    return Hits(sum(p is not None and p < ALPHA for p in found), trials)


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
    Rate(
        "an arm that gains as much as the best of the damping curve is called above all of it",
        "six arms on the curve; 60 problems",
        at_most(ALPHA),
        partial(called_above_all),
        4000,
    ),
    Rate(
        "an arm 20 points above the best of the damping curve is called above all of it",
        "the same",
        at_least(0.5),
        partial(called_above_all, above=0.2),
        2000,
    ),
    Rate(
        "at equal damage: an edit on a curve that bends is called above or below it",
        "gain grows as the root of damage; weights an eighth apart; 60 problems and passages",
        at_most(ALPHA),
        partial(called_off_a_bend, world=Spared(1.0), off=0.94),
        3000,
    ),
    Rate(
        "at equal damage: the same where the curve's own damage is seldom shown",
        "a third of the damage",
        at_most(ALPHA),
        partial(called_off_a_bend, world=Spared(1.0, harm=0.03)),
        3000,
    ),
    Rate(
        "at equal damage: an edit with half of the curve's damage at its gain is called above",
        "the same",
        at_least(0.7),
        partial(called_off_a_bend, world=Spared(0.5), off=0.94),
        1000,
    ),
    Rate(
        "at equal gain: the 95 % interval holds the true share of the curve's damage",
        "an edit with half of it; 60 problems, 60 passages, to skewed degrees; neighbours a fifth apart",
        at_least(0.93),
        partial(ratio_covered, world=Spared(0.5)),
        3000,
    ),
    Rate(
        "at equal gain: an edit that damages as the curve does is called less or more",
        "the same",
        at_most(ALPHA),
        partial(called_unequal, world=Spared(1.0)),
        3000,
    ),
    Rate(
        "at equal gain: the same, beside a curve whose own damage is seldom shown",
        "a tenth of the damage, so that mostly the difference alone is told",
        at_most(ALPHA),
        partial(called_unequal, world=Spared(1.0, harm=0.01)),
        3000,
    ),
    Rate(
        "at equal gain: an edit with half of the curve's damage is called less",
        "the same",
        at_least(0.8),
        partial(called_unequal, world=Spared(0.5)),
        1000,
    ),
)
