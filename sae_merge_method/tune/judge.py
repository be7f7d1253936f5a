"""The judgement: the winner once, beside its rivals, on texts that neither search nor choice ever saw."""

import math
from collections.abc import Sequence

from sae_merge_method.artifacts.conclusions import Beside
from sae_merge_method.artifacts.tune import (
    BesideCurve,
    Budget,
    Change,
    CurvePoint,
    Effect,
    Held,
    Rival,
    Winner,
)
from sae_merge_method.statistics.interpolation import excess_over_line, share_of_cost
from sae_merge_method.statistics.losses import RatioChange, paired_ratio
from sae_merge_method.statistics.multiplicity import holm
from sae_merge_method.tune.bench import Bench, Measured
from sae_merge_method.tune.choose import Chosen
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.parts import REPORT
from sae_merge_method.tune.rivals import Contender, Field


def effect(bench: Bench, measured: Measured, alpha: float) -> Effect:
    """A measurement as the report has it."""
    worst = measured.worst
    return Effect(
        gain=_change(measured.target, alpha, sign=-1),
        damage=_change(measured.controls[worst], alpha),
        control=bench.side(measured.part, worst).name,
    )


def winner(bench: Bench, chosen: Chosen, budget: float, alpha: float) -> Winner:
    """The edit that was chosen, on all three parts."""
    report = bench.measure(chosen.measured.edit, REPORT)
    return Winner(
        family=chosen.candidate.family,
        shape=chosen.candidate.shape.name,
        weights=chosen.measured.edit.weights,
        scaled=chosen.scaled,
        search=effect(bench, chosen.candidate.measured, alpha) if chosen.scaled == 1.0 else None,
        choice=effect(bench, chosen.measured, alpha),
        report=effect(bench, report, alpha),
        curse=chosen.measured.gain - report.gain,
        budget=_kept(report.controls[report.worst], budget, alpha),
    )


def _kept(damage: RatioChange, budget: float, alpha: float) -> Budget:
    below, above = damage.p_below(budget), damage.p_above(budget)
    if below is not None and below < alpha:
        return "kept"
    return "exceeded" if above is not None and above < alpha else "not shown"


def rivals(bench: Bench, edit: Edit, contenders: Sequence[Contender], alpha: float) -> tuple[Rival, ...]:
    """Every rival beside the winner, problem by problem, corrected together by Holm."""
    own = bench.measure(edit, REPORT)
    tokens = bench.side(REPORT).tokens
    measured = [bench.measure(one.edit, REPORT) for one in contenders]
    changes = [paired_ratio(other.target_nats, own.target_nats, tokens) for other in measured]
    corrected = iter(holm([change.p for change in changes if change.p is not None]))
    found = []
    for one, other, change in zip(contenders, measured, changes, strict=True):
        p = None if change.p is None else next(corrected)
        found.append(
            Rival(
                name=one.name,
                description=one.description,
                weights=one.edit.weights,
                report=effect(bench, other, alpha),
                difference=_change(change, alpha, sign=-1),
                p=change.p,
                p_adjusted=p,
                winner_is=_held(change, p, alpha),
            )
        )
    return tuple(found)


def _held(change: RatioChange, p: float | None, alpha: float) -> Held:
    if p is None:
        return "not tested"
    if p >= alpha:
        return "not shown"
    return "better" if change.delta < 0 else "worse"


def beside_curve(bench: Bench, edit: Edit, field: Field, alpha: float) -> BesideCurve:
    """The winner's gain less that of all layers damped to its damage, the line between two points of the
    curve."""
    own = bench.measure(edit, REPORT)
    points = [(weight, bench.measure(point, REPORT)) for weight, point in field.curve]
    points.sort(key=lambda one: one[1].controls[own.worst].delta)
    (low_weight, low), (high_weight, high) = points
    share = share_of_cost(*(one.control_nats[own.worst] for one in (own, low, high)))
    ends = {
        "low": CurvePoint(weight=low_weight, report=effect(bench, low, alpha)),
        "high": CurvePoint(weight=high_weight, report=effect(bench, high, alpha)),
    }
    if isinstance(share, str):
        return BesideCurve(**ends, share=None, difference=None, p=None, stands="not tested", reason=share)
    tokens = bench.side(REPORT).tokens
    each = len(tokens) / math.fsum(tokens)
    gains = [[-each * nats for nats in one.target_nats] for one in (own, low, high)]
    excess = excess_over_line(share, *gains)
    interval = excess.interval(1 - alpha)
    stands: Beside = "not tested" if excess.p is None else "not shown"
    if excess.p is not None and excess.p < alpha:
        stands = "above" if excess.delta > 0 else "below"
    return BesideCurve(
        **ends,
        share=share.value,
        difference=Change(delta=excess.delta, interval=interval),
        p=excess.p,
        stands=stands,
        reason=excess.reason,
    )


def _change(change: RatioChange, alpha: float, sign: int = 1) -> Change:
    ends = change.interval(1 - alpha)
    if ends is None:
        return Change(delta=sign * change.delta + 0.0, interval=None)  # never -0.0
    low, high = sorted((sign * ends.low, sign * ends.high))
    return Change(delta=sign * change.delta + 0.0, interval=(low, high))
