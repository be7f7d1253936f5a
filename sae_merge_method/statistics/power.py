"""What a comparison can show before it is made: differences it would find, and problems that it takes.

Two models that answer the same problems are compared pairwise; how their answers correlate decides as much as
how many there are. All of it is the normal approximation, good to a problem in a few hundred.
"""

import math
from statistics import NormalDist

from sae_merge_method.statistics.intervals import detectable_difference

POWER = 0.8
"""Chance of finding a difference that is there, by custom (Cohen 1988)."""


def paired_stderr(sd: float, correlation: float, n: int) -> float:
    """Standard error of a mean difference over ``n`` problems: ``sd sqrt(2 (1 - correlation) / n)``.

    Args:
        sd: Of the scores of either side; of right and wrong answers sqrt(share (1 - share)).
        correlation: Of both sides' scores over the problems; below 1.
        n: Problems, at least one.
    """
    return sd * math.sqrt(2 * (1 - correlation) / n)


def detectable(sd: float, correlation: float, n: int, alpha: float) -> float:
    """The true difference that a paired two-sided test finds with probability ``POWER``."""
    return detectable_difference(paired_stderr(sd, correlation, n), alpha, POWER)


def problems_needed(difference: float, sd: float, correlation: float, alpha: float) -> int:
    """How many problems it takes to find a true difference, above 0, with probability ``POWER``."""
    normal = NormalDist()
    reach = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(POWER)
    return math.ceil(2 * (1 - correlation) * (sd * reach / difference) ** 2)
