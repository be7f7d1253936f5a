"""What an edit does on a part, as the report has it: measured numbers as an artifact's record."""

import math
from collections.abc import Sequence

from sae_merge_method.artifacts.tuned_edits import Change, Effect, Scored
from sae_merge_method.statistics.losses import RatioChange
from sae_merge_method.tune.bench import MeasuredEdit
from sae_merge_method.tune.exam import Exam, Panel
from sae_merge_method.tune.splits import CHOICE, REPORT


def effect(panel: Panel, measured: MeasuredEdit, alpha: float, *, guarded: bool = False) -> Effect:
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
        gain=change_of(measured.target, alpha, sign=-1),
        damage=change_of(measured.controls[worst], alpha),
        control=panel.bench.side(part, worst).name,
        task=None if task is None else _scored(panel, task, measured, alpha),
        guard=None if panel.guard is None or not guarded else _scored(panel, panel.guard, measured, alpha),
    )


def _scored(panel: Panel, exam: Exam, measured: MeasuredEdit, alpha: float) -> Scored:
    bench, edit, part = panel.bench, measured.edit, measured.part
    change = exam.compare(bench, edit, bench.base, part, 1 - alpha)
    return Scored(score=exam.mean(bench, edit, part), change=change.delta, interval=change.interval)


def gains(panel: Panel, measured: MeasuredEdit) -> Sequence[float]:
    """Of every problem of the report part: its score on the task, where there is one; else minus its nats, or
    its source's, so that their mean is minus the loss."""
    if panel.task is not None:
        return panel.task.scores(panel.bench, measured.edit, REPORT)
    tokens = panel.bench.side(REPORT).tokens
    each = len(tokens) / math.fsum(tokens)
    return [-each * nats for nats in measured.target_nats]


def change_of(change: RatioChange, alpha: float, sign: int = 1) -> Change:
    """A change of a loss with its interval at 1 - alpha; with sign -1 what is gained by it."""
    ends = change.interval(1 - alpha)
    if ends is None:
        return Change(delta=sign * change.delta + 0.0, interval=None)  # never -0.0
    low, high = sorted((sign * ends.low, sign * ends.high))
    return Change(delta=sign * change.delta + 0.0, interval=(low, high))
