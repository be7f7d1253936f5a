"""What an edit does to the loss of documents: its change, and whether it stays within a margin.

Few documents have few degrees of freedom: everything here is Student's, never the normal distribution's.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.statistics.intervals import Interval

FEWEST_ITEMS = 20
"""Documents below which nothing is tested: changes of a loss are skewed, and with fewer their ratio's error
is too small for it. With changes of strong skewness 20 are too few still, 300 are enough
(``benchmarks/calibration.py --only harm`` counts both)."""


class RatioChange(NamedTuple):
    """How a ratio of two sums changed."""

    delta: float
    """Edited minus base."""
    stderr: float | None
    """None where items are fewer than two, or all moved alike."""
    df: int
    """Degrees of freedom of stderr: items less one."""

    @property
    def t(self) -> float | None:
        """delta / stderr."""
        return None if self.stderr is None else self.delta / self.stderr

    @property
    def p(self) -> float | None:
        """Two-sided p of t; None for fewer than FEWEST_ITEMS too."""
        if self.t is None or self.df + 1 < FEWEST_ITEMS:
            return None
        return 2 * upper_p(abs(self.t), self.df)


def paired_ratio(base: Sequence[float], edited: Sequence[float], sizes: Sequence[int]) -> RatioChange:
    """The change of ``sum(x_i) / sum(t_i)``, items paired with themselves (Cochran 1977, section 6.4).

    With d_i the change of item i, of size t_i, and n items: ``delta = sum(d_i) / sum(t_i)``; its variance is
    ``n / (n - 1) sum((d_i - delta t_i)^2) / sum(t_i)^2``. Pairing takes away how hard each item is for both.

    Args:
        base: An amount for every item, for example the nats of a document.
        edited: The same amounts after the edit.
        sizes: What they are taken per, for example the tokens of the document; their sum is above 0.
    """
    changes = [after - before for before, after in zip(base, edited, strict=True)]
    n, size = len(changes), sum(sizes)
    delta = math.fsum(changes) / size
    if n < 2:  # a sample variance divides by n - 1
        return RatioChange(delta, None, 0)
    left = math.fsum((d - delta * t) ** 2 for d, t in zip(changes, sizes, strict=True))
    stderr = math.sqrt(n / (n - 1) * left) / size
    # Where every item moved by as much a unit, there is nothing to measure the change against.
    return RatioChange(delta, stderr or None, n - 1)


class Equivalence(NamedTuple):
    """Whether a change lies within a margin of zero."""

    p_within: float
    """Of the two one-sided tests, the larger p: small where the change is shown to be inside."""
    p_above: float
    """One-sided p that the change is above the margin: small where it is shown to be larger."""
    interval: Interval
    """At twice the error of the tests: inside the margins exactly where ``p_within`` is below alpha."""


def equivalence(delta: float, stderr: float, df: int, margin: float, alpha: float) -> Equivalence:
    """Two one-sided t-tests (Schuirmann 1987), and the one that speaks against it.

    Args:
        delta: The change.
        stderr: Its standard error, above 0.
        df: Its degrees of freedom.
        margin: What is still as good as no change, above 0.
        alpha: Level of each test.
    """
    from scipy.special import stdtrit

    below, above = (upper_p((margin - side * delta) / stderr, df) for side in (1, -1))
    half = float(stdtrit(df, 1 - alpha)) * stderr
    return Equivalence(
        p_within=max(below, above),
        p_above=upper_p((delta - margin) / stderr, df),
        interval=Interval(delta - half, delta + half),
    )


def t_interval(estimate: float, stderr: float, df: int, level: float) -> Interval:
    """``estimate -+ t stderr``, with Student's quantile (Student 1908).

    Args:
        estimate: For example a mean change.
        stderr: Its standard error.
        df: Its degrees of freedom.
        level: For example 0.95.
    """
    from scipy.special import stdtrit

    half = float(stdtrit(df, 0.5 + level / 2)) * stderr
    return Interval(estimate - half, estimate + half)


def upper_p(t: float, df: int) -> float:
    """How often Student's t with ``df`` degrees of freedom is larger than ``t``."""
    from scipy.special import stdtr

    return float(stdtr(df, -t))
