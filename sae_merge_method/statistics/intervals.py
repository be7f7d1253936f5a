"""How sure one number is, where one more draw would fall, and how small a difference a test could see."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.statistics.tests import Interval


def wilson_interval(right: int, n: int, level: float) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927): inside [0, 1], sound near its ends.

    Args:
        right: Problems answered right.
        n: Problems, at least one.
        level: For example 0.95.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the bound is 0 or 1 but for rounding.
    return Interval(0.0 if right == 0 else centre - half, 1.0 if right == n else centre + half)


def prediction_interval(draws: npt.ArrayLike, level: float) -> Interval:
    """Student's interval for one more draw: mean +- t s sqrt(1 + 1/n).

    What lies inside is no different from the draws at that level (Hahn and Meeker 1991). With
    fewer than two draws there is no spread to tell, and the interval is the draw itself.

    Args:
        draws: (n,), at least one.
        level: For example 0.99.
    """
    values = np.asarray(draws, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, mean)
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(values) - 1, 0.5 + level / 2))
    reach = quantile * float(values.std(ddof=1)) * (1 + 1 / len(values)) ** 0.5
    return Interval(mean - reach, mean + reach)


class BootstrapEstimate(NamedTuple):
    """A value with the bootstrap's estimate of its bias taken out, and where it lies."""

    low: float
    high: float
    estimate: float


def basic_bootstrap(observed: float, resampled: npt.NDArray[np.float64], level: float) -> BootstrapEstimate:
    """The basic bootstrap interval, ``2 observed - percentiles`` (Davison & Hinkley 1997, section 5.2).

    A divergence reads sampling noise as signal, and resampling adds as much noise again: plain
    percentiles would count it twice and never cover the truth. Reflected about the observed value they
    surround what unlimited data would give.

    Args:
        observed: Of the data at hand.
        resampled: (R,) of resampled data.
        level: For example 0.95.
    """
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return BootstrapEstimate(
        low=2 * observed - float(high),
        high=2 * observed - float(low),
        estimate=2 * observed - float(resampled.mean()),
    )


def detectable_difference(stderr: float, alpha: float, power: float) -> float:
    """The true difference that a two-sided test at ``alpha`` finds with probability ``power``.

    ``(z_(1 - alpha/2) + z_power) * stderr`` (Cohen 1988); the far tail is left out, as usual.

    Args:
        stderr: Standard error of the difference.
        alpha: Level of the test.
        power: For example 0.8.
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * stderr


def count_right(share: float, stderr: float | None, n: int | None) -> int | None:
    """How many problems were right, if each was scored 0 or 1; None where they were not.

    Told by lm-eval's standard error, which for such scores is ``sqrt(share (1 - share) / (n - 1))``.
    """
    if n is None or n < 2 or stderr is None or not 0 <= share <= 1:
        return None
    right = round(share * n)
    whole = math.isclose(right / n, share, rel_tol=0, abs_tol=1e-9)
    return right if whole and math.isclose(stderr**2 * (n - 1), share * (1 - share), abs_tol=1e-9) else None
