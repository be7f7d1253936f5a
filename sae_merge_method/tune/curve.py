"""The winner beside the damping curve, all layers at one weight: what it gains more at equal damage, and what
it damages less at equal gain, which is what a choice of weights is worth where both have the same ability.

All of it is of the report part. Where the curve is measured for equal gain is looked for there too: it
chooses no edit.
"""

import math
from collections.abc import Callable, Mapping

from sae_merge_method.artifacts.tuned_edits import BesideCurve, Change, CurvePoint, EqualGain, Spared
from sae_merge_method.statistics.beside_curve import WHOLE, GainAndCost, Weighted, place_beside, stands
from sae_merge_method.statistics.equal_gain import CostRatio, Point, cost_at_equal_gain
from sae_merge_method.tune.bench import Bench, MeasuredEdit
from sae_merge_method.tune.edit import DIGITS, Edit
from sae_merge_method.tune.effects import effect, gains
from sae_merge_method.tune.exam import Panel
from sae_merge_method.tune.rivals import Field
from sae_merge_method.tune.scaling import MOST
from sae_merge_method.tune.splits import REPORT

_STEP = 1.5
"""Factor from one weight to the next while they all gain less, or all more."""
_NEAR = 1.25
"""Two weights as near as that are neighbours: between them the curve is taken to be straight."""
_MOST_TRIES = 10


def beside_curve(
    panel: Panel, edit: Edit, field: Field, weights: Mapping[float, Edit], alpha: float
) -> BesideCurve:
    """The winner's gain less that of all layers damped to its damage, the line between two points of the
    curve: by the task's score, where there is one. They are the field's two; where the winner's damage on the
    report part is not between theirs, its neighbours among all points.

    Where that line cannot be drawn, since nothing on the curve damages as little or no two points are told
    apart: less that of every point, the base among them, if it gains more than all of them.

    Args:
        panel: To measure by.
        edit: The winner.
        field: With two points of the curve around the winner's damage on the choice part.
        weights: All points of the curve, by the weight of all layers.
        alpha: Level of the test; intervals are at 1 - alpha.
    """
    bench = panel.bench
    own = bench.measure(edit, REPORT)

    def outcome(measured: MeasuredEdit) -> GainAndCost:
        return GainAndCost(gains(panel, measured), measured.control_nats[own.worst])

    edits = {0.0: bench.base, **weights}
    curve = {weight: bench.measure(edits[weight], REPORT) for weight in sorted(edits)}
    points = [Weighted(f"weight {weight:.4g}", weight, outcome(one)) for weight, one in curve.items()]
    low, high = (list(curve).index(weight) for weight, _ in field.curve)
    *ends, excess = place_beside(outcome(own), points, (low, high))
    low_point, high_point = (
        CurvePoint(weight=points[nth].weight, report=effect(panel, curve[points[nth].weight], alpha))
        for nth in ends
    )
    difference = None
    if excess.delta is not None:
        difference = Change(delta=excess.delta, interval=excess.interval(1 - alpha))
    return BesideCurve(
        low=low_point,
        high=high_point,
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
        edit: The winner.
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

    aim = math.fsum(point(own).gains)
    weights = around(gained, aim, start) if aim > 0 else [start]
    if aim > 0 and all(gained(weight) < aim for weight in weights):
        weights = sorted({*weights, WHOLE})  # which is measured anyway: is it there that they gain most?
    curve = [damped(weight) for weight in weights]
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


def around(gained: Callable[[float], float], aim: float, start: float) -> list[float]:
    """Weights of all layers on both sides of that at which they gain so much, ascending, neighbours near.

    Args:
        gained: What they gain at a weight.
        aim: What is to be reached; where no weight does, all that were tried are returned.
        start: Weight to begin at.
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
    while ends[1] > _NEAR * ends[0]:
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
