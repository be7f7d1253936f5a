"""The judgement: the winner once, beside its rivals, on texts and problems that were held back.

By the task where there is one, else by loss.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sae_merge_method.artifacts.tuned_edits import (
    BesideCurve,
    Budget,
    Change,
    CurvePoint,
    Effect,
    Held,
    Rival,
    Scored,
    Winner,
)
from sae_merge_method.statistics.beside_curve import Outcome, Weighted, place_beside, stands
from sae_merge_method.statistics.losses import RatioChange, paired_ratio
from sae_merge_method.statistics.multiplicity import holm
from sae_merge_method.tune.bench import Measured
from sae_merge_method.tune.choose import Chosen
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.exam import Compared, Exam, Panel
from sae_merge_method.tune.parts import CHOICE, REPORT
from sae_merge_method.tune.rivals import Contender, Field


class _Difference(NamedTuple):
    """The winner's gain less another edit's, by what judges."""

    loss: RatioChange
    """Of the loss: below 0 where the winner's is lower."""
    task: Compared | None
    """Of the task's score; None where none judges."""

    @property
    def delta(self) -> float:
        """Above 0 where the winner gains more."""
        return -self.loss.delta if self.task is None else self.task.delta

    @property
    def p(self) -> float | None:
        """Two-sided; None where there is no test."""
        return self.loss.p if self.task is None else self.task.p


def effect(panel: Panel, measured: Measured, alpha: float, *, guarded: bool = False) -> Effect:
    """A measurement as the report has it.

    Args:
        panel: To measure by; the task is asked on the parts that it has.
        measured: The losses.
        alpha: Intervals are at 1 - alpha.
        guarded: Whether the guard is asked as well.
    """
    worst, part = measured.worst, measured.part
    task = panel.task if panel.task is not None and part in (CHOICE, REPORT) else None
    return Effect(
        gain=_change(measured.target, alpha, sign=-1),
        damage=_change(measured.controls[worst], alpha),
        control=panel.bench.side(part, worst).name,
        task=None if task is None else _scored(panel, task, measured, alpha),
        guard=None if panel.guard is None or not guarded else _scored(panel, panel.guard, measured, alpha),
    )


def _scored(panel: Panel, exam: Exam, measured: Measured, alpha: float) -> Scored:
    bench, edit, part = panel.bench, measured.edit, measured.part
    change = exam.compare(bench, edit, bench.base, part, 1 - alpha)
    return Scored(score=exam.mean(bench, edit, part), change=change.delta, interval=change.interval)


def winner(panel: Panel, chosen: Chosen, budget: float, alpha: float) -> Winner:
    """The edit that was chosen, on all three parts."""
    bench, edit = panel.bench, chosen.measured.edit
    report = bench.measure(edit, REPORT)
    curse = chosen.measured.gain - report.gain
    if panel.task is not None:
        gains = [
            panel.task.compare(bench, edit, bench.base, part, 1 - alpha).delta for part in (CHOICE, REPORT)
        ]
        curse = gains[0] - gains[1]
    return Winner(
        family=chosen.candidate.family,
        shape=chosen.candidate.shape.name,
        units=edit.units,
        weights=edit.weights,
        scaled=chosen.scaled,
        search=effect(panel, chosen.candidate.measured, alpha) if chosen.scaled == 1.0 else None,
        choice=effect(panel, chosen.measured, alpha, guarded=True),
        report=effect(panel, report, alpha, guarded=True),
        curse=curse,
        budget=_kept(report.controls[report.worst], budget, alpha),
        points=_points_kept(panel, edit, alpha),
    )


def _kept(damage: RatioChange, budget: float, alpha: float) -> Budget:
    below, above = damage.p_below(budget), damage.p_above(budget)
    if below is not None and below < alpha:
        return "kept"
    return "exceeded" if above is not None and above < alpha else "not shown"


def _points_kept(panel: Panel, edit: Edit, alpha: float) -> Budget | None:
    """By the interval that two one-sided tests at alpha leave."""
    if panel.guard is None or panel.points is None:
        return None
    bench = panel.bench
    reach = panel.guard.compare(bench, edit, bench.base, REPORT, 1 - 2 * alpha).interval
    if reach is None:
        return "not shown"
    if reach.low > -panel.points / 100:
        return "kept"
    return "exceeded" if reach.high < -panel.points / 100 else "not shown"


def rivals(panel: Panel, edit: Edit, contenders: Sequence[Contender], alpha: float) -> tuple[Rival, ...]:
    """Every rival beside the winner, problem by problem, corrected together by Holm."""
    bench = panel.bench
    measured = [bench.measure(one.edit, REPORT) for one in contenders]
    differences = [_difference(panel, edit, other, alpha) for other in measured]
    corrected = iter(holm([one.p for one in differences if one.p is not None]))
    judged = []
    for one, other, difference in zip(contenders, measured, differences, strict=True):
        p = None if difference.p is None else next(corrected)
        task = difference.task
        judged.append(
            Rival(
                name=one.name,
                description=one.description,
                units=one.edit.units,
                weights=one.edit.weights,
                report=effect(panel, other, alpha),
                difference=_change(difference.loss, alpha, sign=-1),
                task=None if task is None else Change(delta=task.delta, interval=task.interval),
                p=difference.p,
                p_adjusted=p,
                winner_is=_held(difference.delta, p, alpha),
            )
        )
    return tuple(judged)


def _difference(panel: Panel, edit: Edit, other: Measured, alpha: float) -> _Difference:
    bench = panel.bench
    own = bench.measure(edit, REPORT)
    return _Difference(
        paired_ratio(other.target_nats, own.target_nats, bench.side(REPORT).tokens),
        None if panel.task is None else panel.task.compare(bench, edit, other.edit, REPORT, 1 - alpha),
    )


def _held(delta: float, p: float | None, alpha: float) -> Held:
    if p is None:
        return "not tested"
    if p >= alpha:
        return "not shown"
    return "better" if delta > 0 else "worse"


def beside_curve(
    panel: Panel, edit: Edit, field: Field, weights: Mapping[float, Edit], alpha: float
) -> BesideCurve:
    """The winner's gain less that of all layers damped to its damage, the line between two points of the
    curve: by the task's score, where there is one.

    Where that line cannot be drawn, since nothing on the curve damages as little or no two points are told
    apart: less that of every point, the base among them, if it gains more than all of them.

    Args:
        panel: To measure by.
        edit: The winner.
        field: With two points of the curve around the winner's damage.
        weights: All points of the curve, by the weight of all layers.
        alpha: Level of the test; intervals are at 1 - alpha.
    """
    bench = panel.bench
    own = bench.measure(edit, REPORT)

    def outcome(measured: Measured) -> Outcome:
        return Outcome(gains(panel, measured), measured.control_nats[own.worst])

    edits = {0.0: bench.base, **weights}
    curve = {weight: bench.measure(edits[weight], REPORT) for weight in sorted(edits)}
    points = [Weighted(f"weight {weight:.4g}", weight, outcome(one)) for weight, one in curve.items()]
    low, high = (list(curve).index(weight) for weight, _ in field.curve)
    *ends, excess = place_beside(outcome(own), points, (low, high))
    low_point, high_point = (
        CurvePoint(weight=points[nth].weight, report=effect(panel, curve[points[nth].weight], alpha))
        for nth in ends
    )
    told = not math.isnan(excess.delta)
    return BesideCurve(
        low=low_point,
        high=high_point,
        share=None if math.isnan(excess.share) else excess.share,
        difference=Change(delta=excess.delta, interval=excess.interval(1 - alpha)) if told else None,
        p=excess.p,
        stands=stands(excess, excess.p, alpha),
        reason=excess.reason,
    )


def gains(panel: Panel, measured: Measured) -> Sequence[float]:
    """Of every problem of the report part: its score on the task, where there is one; else minus its nats, so
    that their mean is minus the loss."""
    if panel.task is not None:
        return panel.task.scores(panel.bench, measured.edit, REPORT)
    tokens = panel.bench.side(REPORT).tokens
    each = len(tokens) / math.fsum(tokens)
    return [-each * nats for nats in measured.target_nats]


def _change(change: RatioChange, alpha: float, sign: int = 1) -> Change:
    ends = change.interval(1 - alpha)
    if ends is None:
        return Change(delta=sign * change.delta + 0.0, interval=None)  # never -0.0
    low, high = sorted((sign * ends.low, sign * ends.high))
    return Change(delta=sign * change.delta + 0.0, interval=(low, high))
