"""What an edit does to the loss of documents: its change, and whether it stays within a margin.

Changes of a loss are skewed: a few documents change most. Student's test is too sure on the side of the long
tail, whose worst documents a small sample lacks. So each one-sided p is the larger of Student's and that of
Hall's transformation, which takes the skewness out of t, and documents that are too few for their skewness
are not tested at all (:func:`items_needed`). How often all of it errs, ``benchmarks/calibration.py`` counts.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.statistics.intervals import Interval

FEWEST_ITEMS = 28
"""Documents below which nothing is tested, however even their changes."""
_A_SKEWNESS = 25
"""Documents more for a skewness of 1, and as its square."""


def items_needed(skewness: float) -> int:
    """How many documents a one-sided test takes: ``28 + 25 skewness^2``.

    Cochran's rule (1977, section 2.15) as Sugden, Smith & Jones (2000) have it for Student's t. Only a long
    tail on the side whose values the test is to rule out makes it too sure: a skewness below 0 counts as 0.

    Args:
        skewness: Of the changes, above 0 for a long tail on that side.
    """
    return FEWEST_ITEMS + math.ceil(_A_SKEWNESS * max(0.0, skewness) ** 2)


def skewness_allowed(items: int) -> float:
    """The largest skewness for which so many documents, FEWEST_ITEMS or more, are enough."""
    return math.sqrt((items - FEWEST_ITEMS) / _A_SKEWNESS)


class RatioChange(NamedTuple):
    """How a ratio of two sums changed."""

    delta: float
    """Edited minus base."""
    stderr: float | None
    """None where items are fewer than two, or all moved alike."""
    df: int
    """Degrees of freedom of stderr: items less one."""
    skewness: float
    """Of what each item adds to delta, above 0 where a few rise most; 0 where there is no stderr."""

    @property
    def t(self) -> float | None:
        """delta / stderr."""
        return None if self.stderr is None else self.delta / self.stderr

    @property
    def p(self) -> float | None:
        """Two-sided p of no change; None too for fewer items than their skewness takes."""
        if self.t is None:
            return None
        p = self.p_below(0.0) if self.t < 0 else self.p_above(0.0)
        return None if p is None else min(1.0, 2 * p)

    def p_below(self, supposed: float) -> float | None:
        """One-sided p: small where the change is shown to be below a supposed one; None as for ``p``."""
        if self.stderr is None or self.df + 1 < items_needed(self.skewness):
            return None
        t = (self.delta - supposed) / self.stderr
        return max(upper_p(-t, self.df), upper_p(-_straightened(t, self.df + 1, self.skewness), self.df))

    def p_above(self, supposed: float) -> float | None:
        """One-sided p: small where the change is shown to be above a supposed one; None as for ``p``."""
        return self._mirrored().p_below(-supposed)

    def interval(self, level: float) -> Interval | None:
        """What one-sided tests, each at half of what the level leaves, do not reject; None without stderr.

        It is told for few items too, for which the tests say nothing.

        Args:
            level: For example 0.95.
        """
        if self.stderr is None:
            return None
        return Interval(-self._mirrored()._high(level), self._high(level))

    def _high(self, level: float) -> float:
        from scipy.special import stdtrit

        t = -float(stdtrit(self.df, 0.5 + level / 2))
        return self.delta - (self.stderr or 0.0) * min(t, _bent(t, self.df + 1, self.skewness))

    def _mirrored(self) -> "RatioChange":
        return self._replace(delta=-self.delta, skewness=-self.skewness)


def _straightened(t: float, n: int, skewness: float) -> float:
    """Hall's (1992) transformation: Student's ``t`` of ``n`` skewed items, as that of items without skewness.

    With s = t / sqrt n and g the skewness, ``sqrt n (s + g s^2 / 3 + g^2 s^3 / 27 + g / (6 n))``: it rises
    with t everywhere, and leaves an error of the order 1/n, of which t has 1/sqrt n.
    """
    s = t / math.sqrt(n)
    return math.sqrt(n) * (s + skewness * s**2 / 3 + skewness**2 * s**3 / 27 + skewness / (6 * n))


def _bent(straight: float, n: int, skewness: float) -> float:
    """The t that :func:`_straightened` makes ``straight`` of: ``3 sqrt n / g (cbrt(1 + g x) - 1)``."""
    x = straight / math.sqrt(n) - skewness / (6 * n)
    grown = skewness * x
    if grown == 0:
        return math.sqrt(n) * x
    if grown > -0.5:  # near 0 a cube root less one has lost the digits that matter
        root = math.expm1(math.log1p(grown) / 3)
    else:
        root = math.copysign(abs(1 + grown) ** (1 / 3), 1 + grown) - 1
    return math.sqrt(n) * 3 * root / skewness


def paired_ratio(base: Sequence[float], edited: Sequence[float], sizes: Sequence[int]) -> RatioChange:
    """The change of ``sum(x_i) / sum(t_i)``, items paired with themselves (Cochran 1977, section 6.4).

    With d_i the change of item i, of size t_i, and n items: ``delta = sum(d_i) / sum(t_i)``; with
    ``e_i = d_i - delta t_i``, its variance is ``n / (n - 1) sum(e_i^2) / sum(t_i)^2``, and its skewness
    that of the e_i. Pairing takes away how hard each item is for both.

    Args:
        base: An amount for every item, for example the nats of a document.
        edited: The same amounts after the edit.
        sizes: What they are taken per, for example the tokens of the document; their sum is above 0.
    """
    changes = [after - before for before, after in zip(base, edited, strict=True)]
    n, size = len(changes), sum(sizes)
    delta = math.fsum(changes) / size
    if n < 2:  # a sample variance divides by n - 1
        return RatioChange(delta, None, 0, 0.0)
    left = [d - delta * t for d, t in zip(changes, sizes, strict=True)]
    squares = math.fsum(one**2 for one in left)
    if squares == 0:  # every item moved by as much a unit: there is nothing to measure the change against
        return RatioChange(delta, None, n - 1, 0.0)
    skewness = math.sqrt(n) * math.fsum(one**3 for one in left) / squares**1.5
    return RatioChange(delta, math.sqrt(n / (n - 1) * squares) / size, n - 1, skewness)


class Equivalence(NamedTuple):
    """Whether a change lies within a margin of zero."""

    p_within: float | None
    """Of the two one-sided tests, the larger p: small where the change is shown to be inside. None where
    either has too few items for its side's skewness."""
    p_above: float | None
    """One-sided p that the change is above the margin: small where it is shown to be; None as above."""
    interval: Interval
    """At twice the error of the tests: inside the margins exactly where ``p_within`` is below alpha."""


def equivalence(change: RatioChange, margin: float, alpha: float) -> Equivalence | None:
    """Two one-sided tests (Schuirmann 1987), and the one that speaks against it; None without an error.

    Args:
        change: As it was measured.
        margin: What is still as good as no change, above 0.
        alpha: Level of each test.
    """
    interval = change.interval(1 - 2 * alpha)
    if interval is None:
        return None
    below, above = change.p_below(margin), change.p_above(-margin)
    within = None if below is None or above is None else max(below, above)
    return Equivalence(p_within=within, p_above=change.p_above(margin), interval=interval)


def upper_p(t: float, df: float) -> float:
    """How often Student's t with ``df`` degrees of freedom is larger than ``t``."""
    from scipy.special import stdtr

    return float(stdtr(df, -t))
