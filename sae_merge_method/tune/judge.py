"""The judgement: the winner once, beside its rivals and the damping curve, on texts and problems that were
held back; all that is asked of them, by all processes together.

By the task where there is one, else by loss.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from sae_merge_method.artifacts.tuned_edits import BesideCurve, Budget, Change, EqualGain, Held, Rival, Winner
from sae_merge_method.statistics.beside_curve import WHOLE
from sae_merge_method.statistics.losses import RatioChange, paired_ratio
from sae_merge_method.statistics.multiplicity import holm
from sae_merge_method.tune.bench import MeasuredEdit
from sae_merge_method.tune.choose import Chosen
from sae_merge_method.tune.curve import all_layers, beside_curve, equal_gain, near_damage
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.effects import change_of, effect
from sae_merge_method.tune.exam import Compared, Panel
from sae_merge_method.tune.rivals import Contender, Field
from sae_merge_method.tune.splits import CHOICE, REPORT


class JudgedWinner(NamedTuple):
    """The winner and all that it was held against."""

    winner: Winner
    rivals: tuple[Rival, ...]
    beside_curve: BesideCurve
    equal_gain: EqualGain


def judge(panel: Panel, chosen: Chosen, field: Field, budget: float, alpha: float) -> JudgedWinner:
    """Hold the winner against everything, once.

    Args:
        panel: To measure by.
        chosen: The winner.
        field: Whom it has to beat.
        budget: Damage that was allowed, in nats a token.
        alpha: Level of every test; intervals are at 1 - alpha.
    """
    bench, edit = panel.bench, chosen.measured.edit
    for one in (bench.base, edit):
        panel.ask(one, REPORT)
    held = partial(equal_gain, panel, edit, field.twin, alpha)
    damaging = partial(near_damage, panel, edit, field.twin)
    whole = all_layers(bench, WHOLE)
    ends = [all_layers(bench, weight) for weight in field.around]
    others = dict.fromkeys((*(one.edit for one in field.contenders), *ends, whole))
    asked: list[Callable[[], object]] = [partial(panel.ask, one, REPORT, guarded=False) for one in others]
    bench.ahead([held, damaging, *asked])
    equal, (near, *tried) = held(), damaging()
    others_of_curve = [WHOLE, *(one.weight for one in equal.curve)]
    if panel.task is None:  # else they are known by loss alone
        others_of_curve += tried
    panel.ask(all_layers(bench, near), REPORT, guarded=False)
    return JudgedWinner(
        winner(panel, chosen, budget, alpha),
        against_rivals(panel, edit, field.contenders, alpha),
        beside_curve(panel, edit, field.around, near, others_of_curve, alpha),
        equal,
    )


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
        budget=kept(report.controls, budget, alpha),
        points=_points_kept(panel, edit, alpha),
    )


def kept(damages: Sequence[RatioChange], budget: float, alpha: float) -> Budget:
    """Whether a budget is shown to be kept on every control, or exceeded on some.

    All have to be shown to keep it, so each is tested at alpha (an intersection-union test, Berger 1982); one
    that exceeds it is enough, so for that each is tested at alpha over their number (Bonferroni).

    Args:
        damages: Of every control.
        budget: Damage that was allowed, in nats a token.
        alpha: Level of the verdict.
    """
    if all(_is_below(one.p_below(budget), alpha) for one in damages):
        return "kept"
    each = alpha / len(damages)
    return "exceeded" if any(_is_below(one.p_above(budget), each) for one in damages) else "not shown"


def _is_below(p: float | None, level: float) -> bool:
    return p is not None and p < level


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


def against_rivals(
    panel: Panel, edit: Edit, contenders: Sequence[Contender], alpha: float
) -> tuple[Rival, ...]:
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
                difference=change_of(difference.loss, alpha, sign=-1),
                task=None if task is None else Change(delta=task.delta, interval=task.interval),
                p=difference.p,
                p_adjusted=p,
                winner_is=_held(difference.delta, p, alpha),
            )
        )
    return tuple(judged)


def _difference(panel: Panel, edit: Edit, other: MeasuredEdit, alpha: float) -> _Difference:
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
