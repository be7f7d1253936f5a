"""How much less than a curve a point costs where both gain as much, and how much of it, with intervals.

The other way to hold an edit against a curve of edits: :mod:`.interpolation` says what it gains more at the
same cost, this what it costs at the same gain. The gains are of the same problems, the costs of the same
documents; which edits make the curve is left to the callers.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.statistics.along_line import AlongLine, share_of_gain
from sae_merge_method.statistics.intervals import Interval
from sae_merge_method.statistics.losses import FEWEST_ITEMS, upper_p


class Point(NamedTuple):
    """One edit."""

    gains: Sequence[float]
    """Of every problem, more than without any edit."""
    costs: Sequence[float]
    """Of every document, more than without any edit."""


class CostRatio(NamedTuple):
    """A point's cost beside the curve's at the same gain: less it, and over it."""

    low: int | None
    """Number of the point of the curve below that gain; None where there is no such stretch of the curve."""
    high: int | None
    """Number of the point above it."""
    share: float | None
    """How far along the line from low to high the gain is reached, 0 to 1."""
    value: float | None
    """The ratio; None where it is not told."""
    interval: Interval | None
    """Fieller's (1954), of value."""
    p: float | None
    """Two-sided p of a difference of 0, which is a ratio of 1, Student's t."""
    reason: str | None
    """Why value is not told, or nothing is tested; None where both are."""
    difference: float | None = None
    """The sum of the point's costs less that of the curve's; None where nothing is tested."""
    reach: Interval | None = None
    """Of difference, Student's."""


def cost_at_equal_gain(point: Point, curve: Sequence[Point], level: float) -> CostRatio:
    """What a point costs, over what the curve costs where it gains as much.

    Between two points of the curve its gain and its cost lie on a line: with ``s`` the share of the way at
    which the gain is reached (:func:`~.along_line.share_of_gain`) and documents j, the curve costs
    ``c_j = (1 - s) a_j + s b_j``, and the ratio is ``sum(p_j) / sum(c_j)``. Problems and documents are
    independent: the variance of ``sum(p - r c)`` is that over documents, s held fixed, plus
    ``(r sum(b - a))^2 var(s)``. The interval holds each r for which that sum is not told from 0 (Fieller
    1954): it needs no ratio to be normal, and it is finite just where the curve's own cost is told from 0.
    Where it is not, the difference ``sum(p - c)`` is still told, by the same variance at ``r = 1``.

    A curve whose cost bends upwards lies below its lines, and the ratio comes out too small: by 1 % where a
    cost that grows as the square of the gain is measured at gains a quarter apart.

    Args:
        point: What is held against the curve.
        curve: In the order in which there is more of everything, two points or more.
        level: Of the interval, for example 0.95.

    Returns:
        Difference and ratio; or the reason why there is none: too few problems or documents, a curve that
        does not reach the gain, that passes it more than once, or costs less where there is more of it. Of a
        curve whose own cost is not shown there is the difference, and the reason why there is no ratio.
    """
    if len(point.costs) < FEWEST_ITEMS:
        return _untold(f"{len(point.costs)} documents: nothing is tested with fewer than {FEWEST_ITEMS}")
    aim, gains = math.fsum(point.gains), [math.fsum(one.gains) for one in curve]
    if aim <= 0:
        return _untold("it gains nothing itself")
    if aim < gains[0]:
        return _untold("it gains less than the first point of the curve")
    reached = [False, *(gain >= aim for gain in gains[1:])]
    if not any(reached):
        return _untold("the curve does not gain as much anywhere")
    passes = [nth for nth in range(1, len(reached)) if reached[nth] != reached[nth - 1]]
    if len(passes) > 1:
        return _untold("the curve gains as much in more than one place: it does not rise all the way")
    between = _stretch(point, curve, passes[0])
    if isinstance(between, str):
        return _untold(between)
    (low, high), share = between
    return _ratio(point, curve, (low, high), share, level)


def _stretch(point: Point, curve: Sequence[Point], above: int) -> tuple[tuple[int, int], AlongLine] | str:
    """The shortest stretch of the curve around the gain whose ends' gains are told apart."""
    reason = ""
    for wider in (0, 1):
        for low, high in dict.fromkeys(
            ((above - 1, above + wider), (above - 1 - wider, above), (above - 1 - wider, above + wider))
        ):
            if low < 0 or high >= len(curve):
                continue
            share = share_of_gain(point.gains, curve[low].gains, curve[high].gains)
            if isinstance(share, AlongLine):
                return (low, high), share
            reason = share
    return reason


def _ratio(
    point: Point, curve: Sequence[Point], ends: tuple[int, int], share: AlongLine, level: float
) -> CostRatio:
    from scipy.special import stdtrit

    low, high = (curve[nth].costs for nth in ends)
    s, n = share.value, len(point.costs)
    costs = [(1 - s) * start + s * end for start, end in zip(low, high, strict=True)]
    own, curve_cost, rise = math.fsum(point.costs), math.fsum(costs), math.fsum(high) - math.fsum(low)
    ratio = CostRatio(*ends, s, None, None, None, None)
    if rise <= 0:
        return ratio._replace(reason="more of everything costs less there: nothing to trade")
    spread = [_covariance(*pair, n) for pair in ((point.costs,) * 2, (point.costs, costs), (costs,) * 2)]
    of_share = (rise * share.stderr) ** 2

    def t(r: float) -> float:
        return float(stdtrit(_degrees(r, spread, of_share, n - 1, share.df), 0.5 + level / 2))

    variance = spread[0] - 2 * spread[1] + spread[2] + of_share
    if variance <= _NOTHING * own**2:
        return ratio._replace(
            value=own / curve_cost if curve_cost > 0 else None,
            reason="zero variance: every document costs as much beside the curve",
        )
    less, error, degrees = (
        own - curve_cost,
        math.sqrt(variance),
        _degrees(1.0, spread, of_share, n - 1, share.df),
    )
    told = ratio._replace(
        p=min(1.0, 2 * upper_p(abs(less) / error, degrees)),
        difference=less,
        reach=Interval(less - t(1.0) * error, less + t(1.0) * error),
    )
    # Fieller's: (own - r curve_cost)^2 = t^2 (v_own - 2 r cov + r^2 v_curve), a quadratic in r.
    value = own / curve_cost if curve_cost > 0 else 0.0
    near = t(value) ** 2
    square = curve_cost**2 - near * (spread[2] + of_share)
    if curve_cost <= 0 or square <= 0:
        return told._replace(reason="the curve's own cost is not told from none there: more documents would")
    linear, constant = own * curve_cost - near * spread[1], own**2 - near * spread[0]
    half = math.sqrt(max(0.0, linear**2 - square * constant))
    return told._replace(value=value, interval=Interval((linear - half) / square, (linear + half) / square))


_NOTHING = 1e-18
"""Of a square: what rounding leaves of a variance that is none."""


def _degrees(r: float, spread: Sequence[float], of_share: float, documents: int, problems: int) -> float:
    """Degrees of freedom of the variance at a ratio (Satterthwaite 1946)."""
    of_documents = max(0.0, spread[0] - 2 * r * spread[1] + r**2 * spread[2])
    of_problems = r**2 * of_share
    both = of_documents**2 / documents + of_problems**2 / problems
    return (of_documents + of_problems) ** 2 / both if both > 0 else documents


def _covariance(one: Sequence[float], other: Sequence[float], n: int) -> float:
    """Of the sums over n documents."""
    mean = math.fsum(one) / n
    middle = math.fsum(other) / n
    products = math.fsum((a - mean) * (b - middle) for a, b in zip(one, other, strict=True))
    return n / (n - 1) * products


def _untold(reason: str) -> CostRatio:
    return CostRatio(None, None, None, None, None, None, reason)
