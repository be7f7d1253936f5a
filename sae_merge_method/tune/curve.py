"""The winner beside the damping curve, all layers at one weight: what it gains more at equal damage, and what
it damages less at equal gain, which is what a choice of weights is worth where both have the same ability.

All of it is of the report part. Where the curve is measured for equal gain is looked for there too: it
chooses no edit.
"""

import math
from collections.abc import Callable, Iterable

from sae_merge_method.artifacts.tuned_edits import BesideCurve, Change, CurvePoint, EqualGain, Spared
from sae_merge_method.statistics.beside_curve import (
    WHOLE,
    GainAndCost,
    Weighted,
    over_bend,
    place_beside,
    stands,
)
from sae_merge_method.statistics.equal_gain import CostRatio, Point, cost_at_equal_gain
from sae_merge_method.statistics.interpolation import AboveLine
from sae_merge_method.tune.bench import Bench, MeasuredEdit
from sae_merge_method.tune.edit import DIGITS, Edit
from sae_merge_method.tune.effects import effect, gains
from sae_merge_method.tune.exam import Panel
from sae_merge_method.tune.scaling import MOST
from sae_merge_method.tune.splits import REPORT

_STEP = 1.5
"""Factor from one weight to the next while they all gain less, or all more."""
_NEAR = 1.25
"""Two weights as near as that are neighbours: between them the curve is taken to be straight."""
_NEARER = 1.12
"""At equal damage, where gain bends over damage more than damage over gain."""
_MOST_TRIES = 10
ON_CURVE = "it is all layers at one weight, a point of the curve itself"


def near_damage(panel: Panel, edit: Edit, start: float) -> tuple[float, ...]:
    """Weights of all layers that were tried, first the one at which they damage most nearly as much as an
    edit; of an edit that does no damage, for which none is looked, the one to begin at.

    Args:
        panel: To measure by.
        edit: The edit.
        start: Weight to begin at.
    """
    bench = panel.bench
    own = bench.measure(edit, REPORT)
    aim = math.fsum(own.control_nats[own.worst])

    def damage(weight: float) -> float:
        return math.fsum(bench.measure(all_layers(bench, weight), REPORT).control_nats[own.worst])

    if edit.weight_of_all is not None:
        return (edit.weight_of_all,)
    if aim <= math.fsum(bench.measure(bench.base, REPORT).control_nats[own.worst]):
        return (start,)
    tried = around(damage, aim, start, _NEARER)
    return tuple(sorted(tried, key=lambda weight: abs(damage(weight) - aim)))


def beside_curve(
    panel: Panel, edit: Edit, ends: tuple[float, float], near: float, others: Iterable[float], alpha: float
) -> BesideCurve:
    """The winner's gain less that of all layers damped to its damage: by the task's score, where one judges.

    The curve bends downwards over damage, and neighbours' damage is seldom told apart: so the line is drawn
    through the point that damages most nearly as much, as steep as between two whose damage is. Where the
    winner's damage is not between theirs, it is the line between its neighbours of all points. Where none can
    be drawn, since nothing on the curve damages as little or no two points are told apart: less the gain of
    every point, the base among them, if it gains more than all of them. A winner that is all layers at one
    weight is a point of the curve, and held against nothing.

    Args:
        panel: To measure by.
        edit: The winner.
        ends: Weights of all layers around its damage on the choice part, whose damage is told apart there.
        near: The weight that damages most nearly as much, from :func:`near_damage`.
        others: All other weights that were measured.
        alpha: Level of the test; intervals are at 1 - alpha.
    """
    bench = panel.bench
    own = bench.measure(edit, REPORT)

    def outcome(measured: MeasuredEdit) -> GainAndCost:
        return GainAndCost(gains(panel, measured), measured.control_nats[own.worst])

    weights = sorted({0.0, *ends, near, *others})
    curve = [bench.measure(all_layers(bench, weight), REPORT) for weight in weights]
    through, at = None, weights.index(near)
    low, high = sorted(map(weights.index, ends))
    if edit.weight_of_all is not None:
        low, high, excess = at, at, AboveLine.untested(ON_CURVE)
    else:
        points = [
            Weighted(f"weight {weight:.4g}", weight, outcome(one))
            for weight, one in zip(weights, curve, strict=True)
        ]
        excess = over_bend(outcome(own), *(points[nth].outcome for nth in (at, low, high)))
        if excess.p is None:
            low, high, excess = place_beside(outcome(own), points)
        else:
            through = at
    low_point, high_point, middle = (
        None if nth is None else CurvePoint(weight=weights[nth], report=effect(panel, curve[nth], alpha))
        for nth in (low, high, through)
    )
    assert low_point is not None and high_point is not None
    difference = None
    if excess.delta is not None:
        difference = Change(delta=excess.delta, interval=excess.interval(1 - alpha))
    return BesideCurve(
        low=low_point,
        high=high_point,
        through=middle,
        share=excess.share,
        difference=difference,
        p=excess.p,
        stands=stands(excess, excess.p, alpha),
        reason=excess.reason,
    )


def equal_gain(panel: Panel, edit: Edit, start: float, alpha: float) -> EqualGain:
    """The winner's damage beside the damping curve's at equal gain: by the task's score, where there is one.

    Args:
        panel: To measure by.
        edit: The winner; one that is all layers at one weight is held against nothing.
        start: Weight of all layers to begin at.
        alpha: Level of the test; intervals are at 1 - alpha.
    """
    bench = panel.bench
    own = bench.measure(edit, REPORT)
    before = gains(panel, bench.measure(bench.base, REPORT))
    unedited = bench.measure(bench.base, REPORT).control_nats[own.worst]

    def damped(weight: float) -> MeasuredEdit:
        return bench.measure(all_layers(bench, weight), REPORT)

    def point(measured: MeasuredEdit) -> Point:
        more = [after - at for after, at in zip(gains(panel, measured), before, strict=True)]
        nats = measured.control_nats[own.worst]
        return Point(more, [after - at for after, at in zip(nats, unedited, strict=True)])

    def gained(weight: float) -> float:
        return math.fsum(point(damped(weight)).gains)

    aim, on_curve = math.fsum(point(own).gains), edit.weight_of_all is not None
    weights = around(gained, aim, start) if aim > 0 and not on_curve else [start]
    if aim > 0 and not on_curve and all(gained(weight) < aim for weight in weights):
        weights = sorted({*weights, WHOLE})  # which is measured anyway: is it there that they gain most?
    curve = [damped(weight) for weight in weights]
    cost = CostRatio(None, None, None, None, None, None, ON_CURVE)
    if not on_curve:
        cost = cost_at_equal_gain(point(own), [point(one) for one in curve], 1 - alpha)
    tokens = sum(bench.side(REPORT, own.worst).tokens)
    return EqualGain(
        curve=tuple(
            CurvePoint(weight=weight, report=effect(panel, one, alpha))
            for weight, one in zip(weights, curve, strict=True)
        ),
        weight=_between(cost, weights),
        damage=_between(cost, [math.fsum(point(one).costs) / tokens for one in curve]),
        difference=_difference(cost, tokens),
        ratio=cost.value,
        interval=cost.interval,
        p=cost.p,
        damages=_damages(cost, alpha),
        reason=cost.reason,
    )


def all_layers(bench: Bench, weight: float) -> Edit:
    """A point of the damping curve: every layer of every donor at one weight."""
    return Edit.of(weight * bench.every_layer)


def around(gained: Callable[[float], float], aim: float, start: float, near: float = _NEAR) -> list[float]:
    """Weights of all layers on both sides of that at which they gain so much, ascending, neighbours near.

    Args:
        gained: What they gain at a weight.
        aim: What is to be reached; where no weight does, all that were tried are returned.
        start: Weight to begin at.
        near: Factor from one neighbour to the other at most.
    """
    known = {round(start, DIGITS): gained(round(start, DIGITS))}
    (weight,) = known
    ends, grows = [weight, weight], known[weight] < aim
    while (known[weight] < aim) == grows and len(known) < _MOST_TRIES:
        further = round(min(MOST, weight * _STEP) if grows else weight / _STEP, DIGITS)
        if further in known or not further:
            return sorted(known)
        ends = sorted((weight, further))
        known[further] = gained(further)
        weight = further
    if (known[weight] < aim) == grows:
        return sorted(known)
    while ends[1] > near * ends[0]:
        middle = round(math.sqrt(ends[0] * ends[1]), DIGITS)
        if middle in ends:
            break
        known[middle] = gained(middle)
        ends[known[middle] >= aim] = middle
    return sorted(known)


def _between(cost: CostRatio, values: list[float]) -> float | None:
    """On the line between the two points of the curve; None where there is none."""
    if cost.low is None or cost.high is None or cost.share is None:
        return None
    return (1 - cost.share) * values[cost.low] + cost.share * values[cost.high]


def _difference(cost: CostRatio, tokens: int) -> Change | None:
    """In nats a token."""
    if cost.difference is None or cost.reach is None:
        return None
    return Change(
        delta=cost.difference / tokens, interval=(cost.reach.low / tokens, cost.reach.high / tokens)
    )


def _damages(cost: CostRatio, alpha: float) -> Spared:
    if cost.p is None or cost.difference is None:
        return "not tested"
    if cost.p >= alpha:
        return "not shown"
    return "less" if cost.difference < 0 else "more"
