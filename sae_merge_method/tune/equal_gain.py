"""The winner's damage beside that of all layers, damped until they gain as much: what a choice of weights is
worth where both have the same ability.

All of it is of the report part. Where the curve is measured is looked for there too: it chooses no edit.
"""

import math
from collections.abc import Callable

from sae_merge_method.artifacts.tuned_edits import CurvePoint, EqualGain, Spared
from sae_merge_method.statistics.equal_gain import CostRatio, Point, cost_at_equal_gain
from sae_merge_method.tune.bench import Bench, Measured
from sae_merge_method.tune.edit import DIGITS, Edit
from sae_merge_method.tune.exam import Panel
from sae_merge_method.tune.families import on_layers
from sae_merge_method.tune.judge import effect, gains
from sae_merge_method.tune.parts import REPORT
from sae_merge_method.tune.scaling import MOST

_STEP = 1.5
"""Factor from one weight to the next while they all gain less, or all more."""
_NEAR = 1.25
"""Two weights as near as that are neighbours: between them the curve is taken to be straight."""
_MOST_TRIES = 10


def equal_gain(panel: Panel, edit: Edit, start: float, alpha: float) -> EqualGain:
    """The winner's damage over the damping curve's at equal gain: by the task's score, where there is one.

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

    def damped(weight: float) -> Measured:
        return bench.measure(all_layers(bench, weight), REPORT)

    def point(measured: Measured) -> Point:
        more = [after - at for after, at in zip(gains(panel, measured), before, strict=True)]
        nats = measured.control_nats[own.worst]
        return Point(more, [after - at for after, at in zip(nats, unedited, strict=True)])

    aim = math.fsum(point(own).gains)
    weights = (
        around(lambda weight: math.fsum(point(damped(weight)).gains), aim, start) if aim > 0 else [start]
    )
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
        ratio=cost.value,
        interval=cost.interval,
        p=cost.p,
        damages=_damages(cost, alpha),
        reason=cost.reason,
    )


def all_layers(bench: Bench, weight: float) -> Edit:
    """A point of the damping curve: every layer of every donor at one weight."""
    return Edit.of(weight * on_layers(bench.n_donors, bench.n_layers, range(bench.n_layers)))


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


def _damages(cost: CostRatio, alpha: float) -> Spared:
    if cost.p is None or cost.value is None:
        return "not tested"
    if cost.p >= alpha:
        return "not shown"
    return "less" if cost.value < 1 else "more"
