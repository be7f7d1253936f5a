"""Judges of claims that hold one arm against another, or one arm's cost against nothing."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sae_merge_method.artifacts.arm import OTHER_LAYERS
from sae_merge_method.artifacts.experiment import Answer, Experiment, MeasuredArm
from sae_merge_method.experiment.report.measure import answer, contrast, is_share
from sae_merge_method.reports.numbers import amount, interval, nats, percent, score, test_words
from sae_merge_method.statistics.intervals import normal_interval
from sae_merge_method.statistics.verdicts import DEGRADED, IMPROVED


class Judged(NamedTuple):
    """What the numbers say of a claim."""

    answer: Answer
    evidence: str
    """The numbers behind the answer, in a sentence."""


Judge = Callable[[Experiment], Judged]


def beats(one: str, other: str, meaning: Mapping[Answer, str] | None = None) -> Judge:
    """Whether one arm's score is better than another's.

    Args:
        one: Name of an arm.
        other: Name of the arm it is to beat.
        meaning: What an answer means, where that is not in the claim.
    """

    def judge(experiment: Experiment) -> Judged:
        first, second = experiment.arm(one), experiment.arm(other)
        if first is None or second is None:
            absent = one if first is None else other
            is_planned = absent in experiment.missing
            return Judged(
                "not tested", f"the arm {absent} is not done" if is_planned else f"there is no arm {absent}"
            )
        if reason := _not_comparable(first, second):
            return Judged("not tested", reason)
        return _better(experiment, first, second, meaning or {})

    return judge


def _not_comparable(one: MeasuredArm, other: MeasuredArm) -> str | None:
    for arm in (one, other):
        if arm.mismatches:
            return f"{arm.name} was not evaluated as the base was"
    if other.role in OTHER_LAYERS and one.role in {"selected", *OTHER_LAYERS} and one.layers == other.layers:
        return f"{other.name} has the same layers"
    return None


def _better(
    experiment: Experiment, one: MeasuredArm, other: MeasuredArm, meaning: Mapping[Answer, str]
) -> Judged:
    share = is_share(experiment)
    test = contrast(one, other, experiment.alpha, higher_is_better=experiment.higher_is_better)
    scores = f"{one.name} {score(one.overall.score, share)}, {other.name} {score(other.overall.score, share)}"
    if test.z is None or test.p is None or test.low is None or test.high is None:
        return Judged("not tested", f"no standard error to test with: {scores}")
    verdict = answer(test.delta, test.p, experiment.alpha)
    means = f"; {meaning[verdict]}" if verdict in meaning else ""
    difference = f"{amount(test.delta, share)} ({interval(test.low, test.high, share)})"
    return Judged(verdict, f"{test_words(test.z, test.p)}: {scores}, {difference}{means}")


def improves(one: str, base: str) -> Judge:
    """Whether an arm's score is better than the base's; how many subjects are, is added."""

    def judge(experiment: Experiment) -> Judged:
        overall = beats(one, base)(experiment)
        arm = experiment.arm(one)
        if arm is None or len(arm.subjects) < 2 or overall.answer == "not tested":
            return overall
        held = [
            subject.verdict
            for subject in arm.subjects
            if subject.p_adjusted is not None and subject.p_adjusted < experiment.alpha
        ]
        subjects = (
            f"of {len(arm.subjects)} subjects {held.count(IMPROVED)} better and "
            f"{held.count(DEGRADED)} worse after Holm"
        )
        return Judged(overall.answer, f"{overall.evidence}; {subjects}")

    return judge


def span_keeps(experiment: Experiment) -> Judged:
    """Whether the span of the scalpel's features keeps more energy than random subspaces of its rank."""
    measured = experiment.projection
    if measured is None or measured.kept is None or measured.random is None or measured.chance is None:
        return Judged("not tested", "no projection was measured")
    drawn = measured.random
    evidence = (
        f"it keeps {percent(measured.kept)} of the energy and loses the rest; chance (r/d) is "
        f"{percent(measured.chance)}, a random subspace of that rank keeps {percent(drawn.low)} to "
        f"{percent(drawn.high)} ({drawn.level:.0%} of them)"
    )
    if measured.kept > drawn.high:
        return Judged("yes", evidence)
    if measured.kept < drawn.low:
        return Judged("no", f"{evidence}: any subspace so small loses nearly all")
    alike = "a loss that any subspace so small has says nothing about the features"
    return Judged("not shown", f"{evidence}: {alike}")


def unharmed(one: str) -> Judge:
    """Whether an arm left the loss on general text as it was, or better."""

    def judge(experiment: Experiment) -> Judged:
        if experiment.corpus is None:
            return Judged("not tested", "no general corpus was given")
        arm = experiment.arm(one)
        loss = arm.general if arm is not None else None
        if loss is None or loss.delta is None or loss.stderr is None or loss.z is None or loss.p is None:
            return Judged("not tested", f"no loss with an error for the arm {one}")
        low, high = map(nats, normal_interval(loss.delta, loss.stderr, 1 - experiment.alpha))
        evidence = (
            f"{test_words(loss.z, loss.p)}: loss {nats(loss.delta)} nats a token ({low} to {high}) over "
            f"{experiment.corpus.documents} documents"
        )
        verdict = answer(-loss.delta, loss.p, experiment.alpha)
        if verdict == "not shown":
            evidence += "; any change within that interval may be there"
        return Judged(verdict, evidence)

    return judge
