"""Numbers of one arm: scores per task, loss on general text, gain over the base."""

import math
from typing import NamedTuple

from sae_merge_method.artifacts.experiment import Experiment, GeneralLoss, MeasuredArm, Score
from sae_merge_method.artifacts.experiment_plan import GeneralText
from sae_merge_method.artifacts.subject import Subject
from sae_merge_method.compare.groups import Whole
from sae_merge_method.reports.numbers import are_shares
from sae_merge_method.statistics.differences import two_sided_p, z_unpooled
from sae_merge_method.statistics.intervals import normal_interval
from sae_merge_method.statistics.losses import paired_ratio
from sae_merge_method.statistics.verdicts import judge


def general_loss(base: GeneralText, edited: GeneralText | None = None) -> GeneralLoss:
    """The loss of the base, or of an arm with its change against the base."""
    if edited is None:
        return GeneralLoss(nats=base.loss, delta=None, stderr=None, df=None, t=None, p=None)
    change = paired_ratio(base.nats, edited.nats, base.tokens)
    return GeneralLoss(
        nats=edited.loss,
        delta=change.delta,
        stderr=change.stderr,
        df=None if change.stderr is None else change.df,
        t=change.t,
        p=change.p,
    )


def alone(task: str, n: int | None, score: float, stderr: float | None) -> Score:
    """A score of the base, which nothing is held against."""
    return Score(
        task=task, n=n, score=score, stderr=stderr, delta=None, z=None, p=None, p_adjusted=None, verdict=None
    )


def overall(base: Whole, edited: Whole, alpha: float, *, higher_is_better: bool) -> Score:
    """All tasks together, by the same test as each of them."""
    fewest = min((side.n for side in (base, edited) if side.n is not None), default=None)
    test = z_unpooled(base.score, base.stderr, edited.score, edited.stderr, fewest)
    delta = edited.score - base.score
    return Score(
        task=edited.task,
        n=edited.n,
        score=edited.score,
        stderr=edited.stderr,
        delta=delta,
        z=test.z,
        p=test.p,
        p_adjusted=None,
        verdict=judge(test.p, delta, alpha, higher_is_better=higher_is_better),
    )


def beside_base(subject: Subject) -> Score:
    """One task, as the comparison with the base has it."""
    return Score(
        task=subject.task,
        n=subject.n_edited,
        score=subject.edited,
        stderr=subject.edited_stderr,
        delta=subject.delta,
        z=subject.z,
        p=subject.p,
        p_adjusted=subject.p_adjusted,
        verdict=subject.verdict,
    )


def is_share(experiment: Experiment) -> bool:
    """Whether all scores lie between 0 and 1, to be shown in percent and points."""
    return are_shares(score.score for arm in experiment.arms for score in (arm.overall, *arm.subjects))


class Contrast(NamedTuple):
    """Two arms; above 0 the first is better, whichever way the metric runs."""

    delta: float
    z: float | None
    """None where there is no standard error to measure the difference with."""
    p: float | None
    """Two-sided."""
    low: float | None
    """Interval of delta, at 1 - alpha."""
    high: float | None


def gain(arm: MeasuredArm, higher_is_better: bool) -> float:
    """Overall score less the base's; above 0 is better. 0 for the base itself."""
    delta = arm.overall.delta or 0.0
    return delta if higher_is_better else -delta


def contrast(one: MeasuredArm, other: MeasuredArm, alpha: float, *, higher_is_better: bool) -> Contrast:
    """``z = (s_one - s_other) / sqrt(se_one^2 + se_other^2)``, the paper's test, between two arms.

    The arms answered the same problems, which this test does not use: it errs on the careful side.
    """
    delta = (one.overall.score - other.overall.score) * (1 if higher_is_better else -1)
    error, other_error = one.overall.stderr, other.overall.stderr
    stderr = None if error is None or other_error is None else math.hypot(error, other_error)
    if not stderr:  # unknown, or every problem scored alike on both sides
        return Contrast(delta, None, None, None, None)
    low, high = normal_interval(delta, stderr, 1 - alpha)
    return Contrast(delta, delta / stderr, two_sided_p(delta / stderr), low, high)
