"""Where an edit stands beside a curve: one other edit at several weights, such as all layers damped.

A smaller weight is the plainest way to less cost: what any other edit is worth is what it gains over that.
Its gain is held against the curve at its own cost, between two points of it, or against every point, where
it gains more than all of them. Which edits make the curve, and what gains and costs are, is left to callers.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from sae_merge_method.statistics.along_line import share_apart, share_of_cost
from sae_merge_method.statistics.interpolation import (
    AboveLine,
    excess_over_each,
    excess_over_line,
    excess_over_near,
    excess_over_scores,
)

Beside = Literal["above", "on", "below", "not shown", "not tested"]
WHOLE = 1.0
"""Weight up to which a curve has to reach before it tells how much can be gained at all."""


class Score(NamedTuple):
    """What is known of gains where no problem's own is."""

    value: float
    """Higher for better."""
    stderr: float
    n: int
    """Problems."""


class GainAndCost(NamedTuple):
    """What an edit gains and costs."""

    gains: Sequence[float] | None
    """Of every problem, higher for better, the problems the same for all edits; None where they are not, or
    nobody knows."""
    costs: Sequence[float]
    """Of every document, the documents the same for all edits."""
    score: Score | None = None
    """Asked only where there are no gains."""


class Weighted(NamedTuple):
    """One edit of the curve."""

    name: str
    """For the reason why nothing was tested."""
    weight: float
    """How much of everything: 0 for no edit, 1 for the whole."""
    outcome: GainAndCost


class Place(NamedTuple):
    """Where an edit stands."""

    low: int
    """Number of the point of the curve that costs less; where the edit gains more than every point, of the
    one that comes nearest in gain."""
    high: int
    """Number of the point that costs more; the same as low where the edit gains more than every point."""
    excess: AboveLine
    """The edit's gain less the curve's; with a reason in place of a p where nothing is told."""


def place_beside(
    edit: GainAndCost, curve: Sequence[Weighted], stretch: tuple[int, int] | None = None
) -> Place:
    """An edit's gain less the curve's at the same cost; where that is not told, and the edit gains more than
    every point of the curve, less that of the point that comes nearest.

    Two things are not asked of a curve. Where more weight costs less there is nothing to trade: whoever costs
    little there is no better for it. And a curve that ends before the whole weight does not say how much can
    be gained: no edit is above all of it, and none that costs more than its dearest point is held against it.

    Args:
        edit: What is held against the curve.
        curve: Two points or more, in any order.
        stretch: Numbers of the two points between which the line is drawn if the edit's cost lies between
            theirs, for callers that chose them beforehand, so far apart that their costs are told apart; else
            it is the two neighbours between whose costs the edit's lies, or the two at the end that it lies
            beyond.
    """
    for name, outcome in (("the edit", edit), *((one.name, one.outcome) for one in curve)):
        if not all(map(math.isfinite, _numbers(outcome))):
            low, high = stretch or (0, 1)
            return Place(
                low, high, AboveLine.untested(f"{name} has a gain or a damage that is no finite number")
            )
    low, high = _ends(edit, curve, stretch)
    excess = _over_line(edit, curve[low], curve[high])
    is_whole = max(one.weight for one in curve) >= WHOLE
    if excess.share is not None and not is_whole and _cost(edit) > _cost(curve[high].outcome):
        return Place(low, high, AboveLine.untested("it does more damage than the curve reaches"))
    gains = [one.outcome.gains for one in curve if one.outcome.gains is not None]
    if excess.p is None and is_whole and edit.gains is not None and len(gains) == len(curve):
        nearest, over = excess_over_each(edit.gains, gains)
        if over.p is not None:
            return Place(nearest, nearest, over)
    return Place(low, high, excess)


def over_bend(edit: GainAndCost, near: GainAndCost, low: GainAndCost, high: GainAndCost) -> AboveLine:
    """An edit's gain less that of a curve that bends, at the same cost.

    Args:
        edit: What is held against the curve.
        near: The point of the curve that costs most nearly as much.
        low: A point that costs less than the edit.
        high: One that costs more, so far away that their costs are told apart.
    """
    if not all(math.isfinite(one) for outcome in (edit, near, low, high) for one in _numbers(outcome)):
        return AboveLine.untested("a gain or a damage is no finite number")
    if not _cost(low) <= _cost(edit) <= _cost(high):
        return AboveLine.untested("its damage does not lie between theirs")
    share = share_apart(edit.costs, near.costs, low.costs, high.costs)
    if isinstance(share, str):
        return AboveLine.untested(share)
    if edit.gains is None or near.gains is None or low.gains is None or high.gains is None:
        return AboveLine.untested("no problem's own gain is known")
    return excess_over_near(share, edit.gains, near.gains, low.gains, high.gains)


def stands(excess: AboveLine, p: float | None, alpha: float, margin: float | None = None) -> Beside:
    """Above or below the curve, by the test; or on it, by two one-sided tests.

    Args:
        excess: The edit's.
        p: Its p, or that corrected for several tests; None where nothing was tested.
        alpha: Level of the test.
        margin: Distance from the curve that does not matter; None where nobody is to be on it.
    """
    if p is None or excess.delta is None:
        return "not tested"
    if p < alpha:
        return "above" if excess.delta > 0 else "below"
    likely = None if margin is None else excess.interval(1 - 2 * alpha)
    if margin is not None and likely is not None and -margin < likely.low and likely.high < margin:
        return "on"
    return "not shown"


def _ends(edit: GainAndCost, curve: Sequence[Weighted], stretch: tuple[int, int] | None) -> tuple[int, int]:
    """Numbers of the points between which the line is drawn, the cheaper one first."""
    cost, costs = _cost(edit), [_cost(one.outcome) for one in curve]
    by_cost = sorted(range(len(curve)), key=lambda nth: (costs[nth], curve[nth].weight))
    if stretch is not None:
        low, high = sorted(stretch, key=by_cost.index)
        if costs[low] <= cost <= costs[high]:
            return low, high
    above = next((at for at, nth in enumerate(by_cost) if costs[nth] > cost), len(by_cost) - 1)
    return by_cost[max(0, above - 1)], by_cost[max(1, above)]


def _over_line(edit: GainAndCost, low: Weighted, high: Weighted) -> AboveLine:
    if low.weight > high.weight:
        return AboveLine.untested(
            f"{low.name} does less damage than {high.name} at more weight: nothing to trade"
        )
    share = share_of_cost(edit.costs, low.outcome.costs, high.outcome.costs)
    if isinstance(share, str):
        return AboveLine.untested(share)
    if edit.gains is not None and low.outcome.gains is not None and high.outcome.gains is not None:
        return excess_over_line(share, edit.gains, low.outcome.gains, high.outcome.gains)
    scores = [one.score for one in (edit, low.outcome, high.outcome) if one.score is not None]
    if len(scores) < 3:
        return AboveLine.untested("scores without an error", share.value)
    at, start, end = ((one.value, one.stderr) for one in scores)
    return excess_over_scores(share, at, start, end, scores[0].n)


def _cost(outcome: GainAndCost) -> float:
    return math.fsum(outcome.costs)


def _numbers(outcome: GainAndCost) -> Iterator[float]:
    yield from outcome.costs
    yield from outcome.gains or ()
    yield from outcome.score or ()
