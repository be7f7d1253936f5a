"""Numbers of one arm: scores per task, loss on general text, gain over the base."""

from sae_merge_method.artifacts.conclusions import ArmContrast
from sae_merge_method.artifacts.experiment import Experiment, GeneralLoss, MeasuredArm, Score
from sae_merge_method.artifacts.experiment_plan import GeneralText
from sae_merge_method.artifacts.subject import Subject
from sae_merge_method.reports.numbers import are_shares
from sae_merge_method.statistics.losses import RatioChange, paired_ratio


def general_loss(base: GeneralText, edited: GeneralText | None = None) -> GeneralLoss:
    """The loss of the base, or of an arm with its change against the base."""
    if edited is None:
        return GeneralLoss(nats=base.loss, delta=None, stderr=None, df=None, skewness=None, t=None, p=None)
    change = paired_ratio(base.nats, edited.nats, base.tokens)
    is_known = change.stderr is not None
    return GeneralLoss(
        nats=edited.loss,
        delta=change.delta,
        stderr=change.stderr,
        df=change.df if is_known else None,
        skewness=change.skewness if is_known else None,
        t=change.t,
        p=change.p,
    )


def change_of(loss: GeneralLoss | None) -> RatioChange | None:
    """The change of a loss, to be tested; None where there is none, or no error to measure it against."""
    if loss is None or loss.delta is None or loss.df is None or loss.skewness is None:
        return None
    return RatioChange(loss.delta, loss.stderr, loss.df, loss.skewness)


def alone(subject: Subject) -> Score:
    """A score of the base, which nothing is held against."""
    return Score(
        task=subject.task,
        n=subject.n,
        score=subject.base,
        stderr=subject.base_stderr,
        delta=None,
        test=None,
        p=None,
        p_adjusted=None,
        paper_z=None,
        paper_p=None,
        interval=None,
        verdict=None,
    )


def beside_base(subject: Subject, *, is_whole: bool = False) -> Score:
    """One task, or all together, as the comparison with the base has it."""
    return Score(
        task=subject.task,
        n=subject.n_edited,
        score=subject.edited,
        stderr=subject.edited_stderr,
        delta=subject.delta,
        test=subject.test,
        p=subject.p,
        p_adjusted=None if is_whole else subject.p_adjusted,
        paper_z=subject.paper_z,
        paper_p=subject.paper_p,
        interval=subject.interval,
        verdict=subject.verdict,
    )


def is_share(experiment: Experiment) -> bool:
    """Whether all scores lie between 0 and 1, to be shown in percent and points."""
    return are_shares(score.score for arm in experiment.arms for score in (arm.overall, *arm.subjects))


def any_answered(experiment: Experiment) -> bool:
    """Whether it is known how many problems got a final answer."""
    return any(arm.answered is not None for arm in experiment.arms)


def between(one: str, other: str, whole: Subject) -> ArmContrast:
    """One arm against another, from the comparison whose base is the other."""
    up = whole.higher_is_better
    ends = whole.interval
    return ArmContrast(
        one=one,
        other=other,
        delta=whole.delta if up else -whole.delta,
        test=whole.test,
        z=whole.z if up or whole.z is None else -whole.z,
        p=whole.p,
        reason=whole.reason,
        interval=ends if up or ends is None else (-ends[1], -ends[0]),
        detectable=whole.detectable,
        paper_z=whole.paper_z if up or whole.paper_z is None else -whole.paper_z,
        paper_p=whole.paper_p,
    )


def gain(arm: MeasuredArm, higher_is_better: bool) -> float:
    """Overall score less the base's; above 0 is better. 0 for the base itself."""
    delta = arm.overall.delta or 0.0
    return delta if higher_is_better else -delta
