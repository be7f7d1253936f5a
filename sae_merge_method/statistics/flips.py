"""Right and wrong answers to the same problems, of which an edit flips some: what the flips alone say.

Right only after the edit, newly right, or right only before it, newly wrong: all that McNemar's test sees.
Here is which differences they leave possible, and which difference would have been found. The test itself is
in ``differences``, graded scores are in ``pairs``.
"""

import math
from collections.abc import Callable
from functools import lru_cache

from sae_merge_method.statistics.intervals import Interval, two_sided_z


def tango_z(newly_right: int, newly_wrong: int, n: int, difference: float) -> float:
    """Score statistic of a paired difference of shares against a supposed one (Tango 1998).

    ``(b - c - n D) / sqrt(n (2 q + D (1 - D)))`` with q the most likely share of newly wrong problems if the
    difference is D, the larger root of ``2 n q^2 + ((2 n - b + c) D - b - c) q - c D (1 - D) = 0``. At D = 0
    it is McNemar's z. Sound where few problems flip, or none, where a plain standard error says 0.

    Args:
        newly_right: b, right only after the edit.
        newly_wrong: c, right only before.
        n: Problems, each answered by both.
        difference: D, edited minus base, strictly between -1 and 1.
    """
    if difference < 0:  # the same with the sides exchanged
        return -tango_z(newly_wrong, newly_right, n, -difference)
    linear = (2 * n - newly_right + newly_wrong) * difference - newly_right - newly_wrong
    constant = -newly_wrong * difference * (1 - difference)
    root = (math.sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    spread = n * (2 * root + difference * (1 - difference))
    apart = newly_right - newly_wrong - n * difference
    if spread <= 0:  # no flips, and none supposed
        return 0.0 if apart == 0 else math.copysign(math.inf, apart)
    return apart / math.sqrt(spread)


def tango_interval(newly_right: int, newly_wrong: int, n: int, level: float) -> Interval:
    """The differences of shares that :func:`tango_z` does not reject: an interval that holds near the edges.

    Args:
        newly_right: Problems right only after the edit.
        newly_wrong: Problems right only before.
        n: Problems, each answered by both; at least one.
        level: For example 0.95.
    """
    z, observed = two_sided_z(level), (newly_right - newly_wrong) / n
    low = crossing(lambda at: tango_z(newly_right, newly_wrong, n, at) - z, -1.0, observed)
    high = crossing(lambda at: tango_z(newly_right, newly_wrong, n, at) + z, observed, 1.0)
    return Interval(low, high)


def detectable_by_flips(
    newly_right: int, newly_wrong: int, n: int, alpha: float, power: float
) -> float | None:
    """The true difference of shares that the exact McNemar test finds with such power; None for none below 1.

    An edit that changes scores flips more answers than one that only shuffles them. How many more is taken
    from the odds of newly right against newly wrong: what raises one share lowers the other by the same
    factor, as in Cox's (1958) model of pairs. Their geometric mean is then what it was, and of true shares b
    and c the flips come to ``b + c = sqrt(4 b c + D^2)``, with D the difference. The mean is estimated with
    half a flip added to either count, so that it is never 0.

    The power is exact, over all numbers of flips that may come (Duffy 1984).

    Args:
        newly_right: Problems right only after the edit.
        newly_wrong: Problems right only before.
        n: Problems, each answered by both; at least one.
        alpha: Level of the two-sided test.
        power: For example 0.8.
    """
    from scipy.optimize import brentq

    even = 2 * math.sqrt((newly_right + 0.5) * (newly_wrong + 0.5)) / n
    if even >= 1:
        return None  # all problems flip already
    largest = math.sqrt(1 - even**2)
    if _power(largest, even, n, alpha) < power:
        return None
    return float(brentq(lambda size: _power(size, even, n, alpha) - power, 0.0, largest, xtol=1e-7))


def _power(difference: float, even: float, n: int, alpha: float) -> float:
    """Chance that a true difference is found, where this share would flip without one."""
    import numpy as np
    from scipy.special import bdtrc, gammaln

    needed = _needed(n, alpha)
    share = math.hypot(even, difference)  # of problems that flip
    if share >= 1:
        return float(bdtrc(needed[n] - 1, n, (1 + difference) / 2))
    # Seven standard deviations and a bit either way: what lies beyond changes no digit.
    reach = 7 * math.sqrt(n * share * (1 - share)) + 10
    fewest, most = max(0, math.floor(n * share - reach)), min(n, math.ceil(n * share + reach))
    flips = np.arange(fewest, most + 1)
    logs = gammaln(n + 1) - gammaln(flips + 1) - gammaln(n - flips + 1)
    chances = np.exp(logs + flips * math.log(share) + (n - flips) * math.log1p(-share))
    powers = bdtrc(np.array(needed[fewest : most + 1]) - 1, flips, (1 + difference / share) / 2)
    return float(chances @ powers)


@lru_cache(maxsize=64)
def _needed(n: int, alpha: float) -> list[int]:
    """Of 0 to n flips, how many have to go one way to be significant; one more than all where none can be."""
    from scipy.special import bdtrc

    needed, counts = 1, []
    for flips in range(n + 1):
        while 2 * bdtrc(needed - 1, flips, 0.5) >= alpha:  # with a flip more it takes as many, or one more
            needed += 1
        counts.append(needed)
    return counts


def crossing(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0 between two ends, by halving: the ends themselves are not tried."""
    for _ in range(60):
        middle = (low + high) / 2
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
