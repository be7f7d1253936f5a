"""Whether a point lies above a line between two others, where all three are measured with error.

For an edit that costs something: its gain is held against what the line between a cheaper and a dearer edit
gives at the same cost. The gains are of the same problems, the costs of the same documents; which edits make
the line is left to the callers.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.statistics.along_line import AlongLine, too_few
from sae_merge_method.statistics.intervals import Interval
from sae_merge_method.statistics.losses import FEWEST_ITEMS, upper_p


class AboveLine(NamedTuple):
    """How far a point lies above the line."""

    share: float | None
    """How far along the line the line was taken; None where there is no line."""
    delta: float | None
    """The point's gain less the line's; None where that cannot be told."""
    stderr: float | None
    """None where nothing was tested."""
    df: float | None
    """Degrees of freedom of stderr (Satterthwaite 1946); None with it."""
    p: float | None
    """Two-sided p of Student's t; None where nothing was tested."""
    reason: str | None = None
    """Why nothing was tested."""

    @classmethod
    def untested(cls, reason: str, share: float | None = None, delta: float | None = None) -> "AboveLine":
        """What is known where nothing was tested, and why nothing was."""
        return cls(share, delta, None, None, None, reason)

    def interval(self, level: float) -> Interval | None:
        """Student's (1908), of delta; None where nothing was tested."""
        if self.delta is None or self.stderr is None or self.df is None:
            return None
        from scipy.special import stdtrit

        half = float(stdtrit(self.df, 0.5 + level / 2)) * self.stderr
        return Interval(self.delta - half, self.delta + half)


def excess_over_line(
    share: AlongLine, point: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> AboveLine:
    """How far a point lies above the line, its gain and the line's told by the same problems.

    A problem's outcome on the line is the convex combination of its outcomes at the two ends. With share s
    and problems i, ``d_i = p_i - (1 - s) a_i - s b_i``; delta is their mean. Problems and documents are
    independent, so its variance is that of the mean, s held fixed, plus ``(mean(b) - mean(a))^2 var(s)``: the
    delta method.

    Args:
        share: Of the point's cost.
        point: Outcome of every problem under the edit.
        low: The same at the cheaper end.
        high: The same at the dearer end.
    """
    s = share.value
    apart = [p - (1 - s) * a - s * b for p, a, b in zip(point, low, high, strict=True)]
    return _mean_of(apart, share, low, high)


def excess_over_near(
    apart: AlongLine,
    point: Sequence[float],
    near: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
) -> AboveLine:
    """How far a point lies above a curve that bends: above the line through a point of it that costs nearly
    as much, as steep as between two others.

    Costs of neighbours are seldom told apart, and the line between two that are lies below a curve that bends
    downwards: whoever is on the curve would be called above it. Through a near point the bend counts only for
    what is left of the way. With share s of that way, problems i and the others a and b,
    ``d_i = p_i - n_i - s (b_i - a_i)``; the rest is as for :func:`excess_over_line`.

    Args:
        apart: How much further than the near point's the cost lies along the line between the others.
        point: Outcome of every problem under the edit.
        near: The same at the near point.
        low: The same at the cheaper of the others.
        high: The same at the dearer one.
    """
    s, rows = apart.value, zip(point, near, low, high, strict=True)
    left = [at - beside - s * (end - start) for at, beside, start, end in rows]
    return _mean_of(left, apart, low, high)


def _mean_of(
    apart: Sequence[float], share: AlongLine, low: Sequence[float], high: Sequence[float]
) -> AboveLine:
    """The mean of what problems lie above a line, with the errors of problems and of the share along it."""
    n, s = len(apart), share.value
    delta = math.fsum(apart) / n if n else 0.0
    if n < FEWEST_ITEMS:
        return AboveLine.untested(too_few(n), s, delta)
    slope = (math.fsum(high) - math.fsum(low)) / n
    of_problems = math.fsum((one - delta) ** 2 for one in apart) / (n - 1) / n
    return _tested(s, delta, of_problems, n - 1, share, slope)


def excess_over_scores(
    share: AlongLine, point: tuple[float, float], low: tuple[float, float], high: tuple[float, float], n: int
) -> AboveLine:
    """The same from scores and their standard errors alone, taken for those of unrelated problems.

    Args:
        share: Of the point's cost.
        point: Score and standard error of the edit.
        low: The same of the cheaper end.
        high: The same of the dearer end.
        n: Problems of each.
    """
    s = share.value
    delta = point[0] - (1 - s) * low[0] - s * high[0]
    variance = point[1] ** 2 + ((1 - s) * low[1]) ** 2 + (s * high[1]) ** 2
    if n < FEWEST_ITEMS:
        return AboveLine.untested(too_few(n), s, delta)
    return _tested(s, delta, variance, n - 1, share, high[0] - low[0])


def excess_over_each(point: Sequence[float], others: Sequence[Sequence[float]]) -> tuple[int, AboveLine]:
    """How far a point lies above every one of others, whatever they cost: above the one nearest to it.

    Who gains more than each point of a curve lies above it at every cost. All of them have to be beaten, so
    the largest p is that of all together, and nothing is to be corrected (an intersection-union test, Berger
    1982).

    Args:
        point: Outcome of every problem under the edit.
        others: The same under each of the others, one or more.

    Returns:
        Which of the others is nearest, and the excess over it; without a p where the point's mean is not
        above all the others', or where nothing can be tested.
    """
    excesses = [_over(point, other) for other in others]
    nearest = min(range(len(excesses)), key=lambda nth: _t(excesses[nth]))
    excess = excesses[nearest]
    if excess.p is not None and _t(excess) <= 0:
        excess = AboveLine.untested("it does not lie above all of the others", delta=excess.delta)
    return nearest, excess


def _over(point: Sequence[float], other: Sequence[float]) -> AboveLine:
    n = len(point)
    apart = [one - another for one, another in zip(point, other, strict=True)]
    delta = math.fsum(apart) / n if n else 0.0
    if n < FEWEST_ITEMS:
        return AboveLine.untested(too_few(n), delta=delta)
    variance = math.fsum((one - delta) ** 2 for one in apart) / (n - 1) / n
    if variance <= 0:
        return AboveLine.untested("zero variance: every problem lies as far from it", delta=delta)
    stderr = math.sqrt(variance)
    return AboveLine(None, delta, stderr, n - 1, 2 * upper_p(abs(delta) / stderr, n - 1))


def _t(excess: AboveLine) -> float:
    if excess.delta is None or excess.stderr is None:
        return -math.inf
    return excess.delta / excess.stderr


def _tested(s: float, delta: float, of_problems: float, df: int, share: AlongLine, slope: float) -> AboveLine:
    of_documents = (slope * share.stderr) ** 2
    variance = of_problems + of_documents
    if variance <= 0:
        return AboveLine.untested("zero variance: every problem lies as far from the curve", s, delta)
    degrees = variance**2 / (of_problems**2 / df + of_documents**2 / share.df)
    stderr = math.sqrt(variance)
    return AboveLine(s, delta, stderr, degrees, 2 * upper_p(abs(delta) / stderr, degrees))
