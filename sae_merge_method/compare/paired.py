"""Tests of paired answers: the same problem, before and after. Numbers in, a named result out.

Pairing takes away what is common to both models, above all how hard each problem is, so it
sees smaller differences than two separate accuracies can.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.compare.ztest import ZTest, two_sided_p


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def mcnemar_p(newly_right: int, newly_wrong: int) -> float:
    """Exact two-sided McNemar test (McNemar 1947): are flips as likely one way as the other?

    The flips in one direction are binomial(flips, 1/2); the tail of the rarer one, doubled, and
    at most 1. In whole numbers until the one division. Without flips p is 1.
    """
    flips = newly_right + newly_wrong
    term = tail = 1
    for k in range(min(newly_right, newly_wrong)):
        term = term * (flips - k) // (k + 1)
        tail += term
    return min(1.0, 2 * tail / (1 << flips))


def paired_z(differences: Sequence[float]) -> ZTest:
    """``z = mean / (sd / sqrt n)`` of edited minus base, sd with n - 1 (Miller 2024, arXiv 2411.00640).

    Args:
        differences: One a problem.
    """
    n = len(differences)
    if n < 2:
        # A sample standard deviation divides by n - 1.
        return ZTest(None, None, f"n = {n}: no standard error from fewer than two problems")
    mean = math.fsum(differences) / n
    variance = math.fsum((difference - mean) ** 2 for difference in differences) / (n - 1)
    if variance == 0:
        # Every problem moved by as much: nothing to measure the difference against.
        return ZTest(None, None, "zero variance: every problem changed alike")
    z = mean / math.sqrt(variance / n)
    return ZTest(z, two_sided_p(z))


def bootstrap_interval(differences: Sequence[float], level: float, draws: int, seed: int) -> Interval:
    """Percentile bootstrap interval of the mean difference (Efron & Tibshirani 1993, chapter 13).

    Problems are resampled whole, so pairs stay pairs. Resampling n problems is a multinomial
    draw over the distinct differences, which for answers that are right or wrong are three.

    Args:
        differences: One a problem, edited minus base.
        level: For example 0.95.
        draws: Resamples.
        seed: The same seed, the same interval.
    """
    import numpy as np

    values, counts = np.unique(np.asarray(differences, dtype=np.float64), return_counts=True)
    n = len(differences)
    means = np.random.default_rng(seed).multinomial(n, counts / n, size=draws) @ values / n
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
