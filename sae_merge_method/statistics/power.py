"""What a comparison can show before it is made: differences it would find, and problems that it takes.

Two models that answer the same problems are compared pairwise; how their answers correlate decides as much as
how many there are. What is said here is of right and wrong answers, whose differences spread more the larger
the true one is (``flips``); of graded ones a little less is enough. All of it is the normal approximation.
"""

import math
from statistics import NormalDist

from sae_merge_method.statistics.flips import crossing

POWER = 0.8
"""Chance of finding a difference that is there, by custom (Cohen 1988)."""


def detectable(sd: float, correlation: float, n: int, alpha: float) -> float | None:
    """The true difference that McNemar's test finds with probability ``POWER``; None for none below 1.

    Args:
        sd: Of the scores of either side; of right and wrong answers sqrt(share (1 - share)).
        correlation: Of both sides' scores over the problems; below 1.
        n: Problems, at least one.
        alpha: Level of the two-sided test.
    """
    even = 2 * sd**2 * (1 - correlation)
    largest = math.sqrt(max(0.0, 1 - even**2))
    if not largest or problems_needed(largest, sd, correlation, alpha) > n:
        return None
    return crossing(lambda size: _problems(size, even, alpha) - n, 0.0, largest)


def problems_needed(difference: float, sd: float, correlation: float, alpha: float) -> int:
    """How many problems it takes to find a true difference, above 0, with probability ``POWER``."""
    return math.ceil(_problems(difference, 2 * sd**2 * (1 - correlation), alpha))


def _problems(difference: float, even: float, alpha: float) -> float:
    """The n of ``n D - 1 = sqrt n (z_alpha sqrt(q) + z_power sqrt(q - D^2))`` (Connett, Smith & McHugh 1987).

    q is the share of problems that flip. The 1 is for steps: of so many flips, one more newly right is one
    fewer newly wrong (Edwards 1948).

    Args:
        difference: D, above 0.
        even: Share of problems that flip without a difference: the variance of the paired differences.
        alpha: Level of the two-sided test.
    """
    normal, flips = NormalDist(), math.hypot(even, difference)
    spread = max(0.0, flips - difference**2)
    reach = normal.inv_cdf(1 - alpha / 2) * math.sqrt(flips) + normal.inv_cdf(POWER) * math.sqrt(spread)
    return ((reach + math.sqrt(reach**2 + 4 * difference)) / (2 * difference)) ** 2
