"""What an arm gained, and one arm held against another by the test that holds each against the base."""

import math
from statistics import NormalDist
from typing import NamedTuple

from sae_merge_method.artifacts.experiment import Answer, Arm
from sae_merge_method.compare.ztest import two_sided_p


class Contrast(NamedTuple):
    """Two arms; above 0 the first is better, whichever way the metric runs."""

    delta: float
    z: float | None
    """None where there is no standard error to measure the difference with."""
    p: float | None
    """Two-sided."""
    low: float | None
    """Interval of delta, at 1 - alpha."""
    high: float | None


def gain(arm: Arm, higher_is_better: bool) -> float:
    """Overall score less the base's; above 0 is better. 0 for the base itself."""
    delta = arm.overall.delta or 0.0
    return delta if higher_is_better else -delta


def contrast(one: Arm, other: Arm, alpha: float, *, higher_is_better: bool) -> Contrast:
    """``z = (s_one - s_other) / sqrt(se_one^2 + se_other^2)``, the paper's test, between two arms.

    The arms answered the same problems, which this test does not use: it errs on the careful side.
    """
    delta = (one.overall.score - other.overall.score) * (1 if higher_is_better else -1)
    mine, theirs = one.overall.stderr, other.overall.stderr
    stderr = None if mine is None or theirs is None else math.hypot(mine, theirs)
    if not stderr:  # unknown, or every problem scored alike on both sides
        return Contrast(delta, None, None, None, None)
    half = NormalDist().inv_cdf(1 - alpha / 2) * stderr
    return Contrast(delta, delta / stderr, two_sided_p(delta / stderr), delta - half, delta + half)


def answer(effect: float | None, p: float | None, alpha: float) -> Answer:
    """What a two-sided test says of the claim that ``effect`` is above 0."""
    if effect is None or p is None:
        return "not tested"
    if p >= alpha:
        return "not shown"
    return "yes" if effect > 0 else "no"
