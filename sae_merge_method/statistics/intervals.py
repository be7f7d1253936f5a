"""How sure a number is: intervals of a proportion, a mean and any estimate; what a test can detect."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

LEVEL = 0.95
"""Of intervals whose level nobody asked for otherwise."""


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def two_sided_z(level: float) -> float:
    """The z that a standard normal stays within, either way, with probability ``level``: 1.96 for 0.95.

    The standard library's quantile: scipy's agrees to the last digits and takes seconds to import.
    """
    return NormalDist().inv_cdf((1 + level) / 2)


def normal_interval(estimate: float, stderr: float, level: float) -> Interval:
    """``estimate -+ z stderr``, for an estimate whose error is near normal (Wald 1943).

    Args:
        estimate: For example a difference of two means.
        stderr: Its standard error.
        level: For example 0.95.
    """
    half = two_sided_z(level) * stderr
    return Interval(estimate - half, estimate + half)


def wilson_interval(right: int, n: int, level: float) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927): inside [0, 1], sound near its ends.

    Written out, because ``scipy.stats.binomtest(right, n).proportion_ci(method="wilson")``, with which it
    agrees to 1e-12, takes longer to import than a whole comparison.

    Args:
        right: Problems answered right.
        n: Problems, at least one.
        level: For example 0.95.
    """
    z = two_sided_z(level)
    share = right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the bound is 0 or 1 but for rounding.
    return Interval(0.0 if right == 0 else centre - half, 1.0 if right == n else centre + half)


def newcombe_interval(base: tuple[int, int], edited: tuple[int, int], level: float) -> Interval:
    """Interval of the difference of two shares, from Wilson's of each (Newcombe 1998, method 10).

    Sound near 0 and 1, where a standard error is too small or none; ``statsmodels`` has the same as
    ``confint_proportions_2indep(method="newcomb")``.

    Args:
        base: Problems right, and problems, of the base model.
        edited: The same of the edited model.
        level: For example 0.95.
    """
    before, after = (wilson_interval(*side, level) for side in (base, edited))
    shares = [right / n for right, n in (base, edited)]
    difference = shares[1] - shares[0]
    low = math.hypot(shares[1] - after.low, before.high - shares[0])
    high = math.hypot(after.high - shares[1], shares[0] - before.low)
    return Interval(difference - low, difference + high)


def count_right(share: float, stderr: float | None, n: int | None) -> int | None:
    """How many problems were right, if each was scored 0 or 1; None where they were not.

    Told by lm-eval's standard error, which for such scores is ``sqrt(share (1 - share) / (n - 1))``.

    Args:
        share: Mean score.
        stderr: Its standard error; None where it is not known.
        n: Problems; None where it is not known.
    """
    if n is None or n < 2 or stderr is None or not 0 <= share <= 1:
        return None
    right = round(share * n)
    whole = math.isclose(right / n, share, rel_tol=0, abs_tol=1e-9)
    return right if whole and math.isclose(stderr**2 * (n - 1), share * (1 - share), abs_tol=1e-9) else None


def bootstrap_interval(
    differences: Sequence[float], level: float, draws: int, seed: int, sizes: Sequence[int] = ()
) -> Interval:
    """Percentile bootstrap interval of the mean difference (Efron & Tibshirani 1993, chapter 13).

    Problems are resampled whole, so pairs stay pairs, and answers to one problem together. Resampling n
    problems is a multinomial draw over the distinct differences, which for answers that are right or wrong
    are three: ``scipy.stats.bootstrap`` would draw every problem every time, and other numbers.

    Args:
        differences: One a problem, edited minus base, added up over its answers; at least one.
        level: For example 0.95.
        draws: Resamples, at least one.
        seed: The same seed, the same interval.
        sizes: How many answers each problem has; empty for one each.
    """
    import numpy as np

    rows = np.column_stack([np.asarray(differences, np.float64), np.asarray(sizes or [1] * len(differences))])
    values, counts = np.unique(rows, axis=0, return_counts=True)
    n = len(rows)
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=draws) @ values
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


class BootstrapEstimate(NamedTuple):
    """A value with the bootstrap's estimate of its bias taken out, and where it lies."""

    low: float
    high: float
    estimate: float


def basic_bootstrap(observed: float, resampled: "ArrayLike", level: float) -> BootstrapEstimate:
    """The basic bootstrap interval, ``2 observed - percentiles`` (Davison & Hinkley 1997, section 5.2).

    A divergence reads sampling noise as signal, and resampling adds as much noise again: plain
    percentiles would count it twice and never cover the truth. Reflected about the observed value they
    surround what unlimited data would give.

    Args:
        observed: Of the data at hand.
        resampled: (R,) of resampled data, R at least 1.
        level: For example 0.95.
    """
    import numpy as np

    draws = np.asarray(resampled, dtype=np.float64)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return BootstrapEstimate(
        low=2 * observed - float(high),
        high=2 * observed - float(low),
        estimate=2 * observed - float(draws.mean()),
    )


def prediction_interval(draws: "ArrayLike", level: float) -> Interval:
    """Student's interval for one more draw: mean +- t s sqrt(1 + 1/n) (Hahn & Meeker 1991).

    What lies inside is no different from the draws at that level.

    Args:
        draws: (n,), at least one.
        level: For example 0.99.
    """
    import numpy as np

    values = np.asarray(draws, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, mean)  # no spread to tell: the interval is the draw itself
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(values) - 1, 0.5 + level / 2))
    reach = quantile * float(values.std(ddof=1)) * (1 + 1 / len(values)) ** 0.5
    return Interval(mean - reach, mean + reach)


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
