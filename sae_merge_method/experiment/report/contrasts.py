"""Judges of claims that hold one arm against another, or one arm's cost against nothing."""

from collections.abc import Mapping

from sae_merge_method.artifacts.arm import OTHER_LAYERS
from sae_merge_method.artifacts.conclusions import Answer
from sae_merge_method.artifacts.experiment import Experiment, MeasuredArm
from sae_merge_method.experiment.report.judged import Judge, Judged, untested
from sae_merge_method.experiment.report.measure import change_of, is_share
from sae_merge_method.reports.numbers import (
    amount,
    change,
    interval,
    nats,
    p_value,
    percent,
    score,
    signed,
    test_words,
)
from sae_merge_method.statistics.losses import equivalence, items_needed
from sae_merge_method.statistics.tests import PAPER, TESTS
from sae_merge_method.statistics.verdicts import DEGRADED, IMPROVED


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
            return untested(f"the arm {absent} is not done" if is_planned else f"there is no arm {absent}")
        if reason := _not_comparable(first, second):
            return untested(reason)
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
    scores = f"{one.name} {score(one.overall.score, share)}, {other.name} {score(other.overall.score, share)}"
    test = experiment.contrast(one.name, other.name)
    if test is None or test.p is None:
        return untested(f"{scores}: {test.reason if test is not None else 'they were not compared'}")
    tested = f"p {p_value(test.p)}" if test.z is None else test_words(test.z, test.p)
    between = f" ({interval(*test.interval, share)})" if test.interval is not None else ""
    parts = [
        f"{tested} ({TESTS[test.test].title}): {scores}, {amount(test.delta, share)}{between}",
        f"detectable {change(test.detectable, share).lstrip('+')}" if test.detectable is not None else "",
        "" if test.paper_z is None or test.paper_p is None or test.test == PAPER
        else f"the paper's unpaired {test_words(test.paper_z, test.paper_p)}",
    ]  # fmt: skip
    return Judged(test.delta, test.p, "; ".join(part for part in parts if part), meaning)


def improves(one: str, base: str) -> Judge:
    """Whether an arm's score is better than the base's; how many subjects are, is added."""

    def judge(experiment: Experiment) -> Judged:
        overall = beats(one, base)(experiment)
        arm = experiment.arm(one)
        if arm is None or len(arm.subjects) < 2 or overall.p is None:
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
        return overall._replace(evidence=f"{overall.evidence}; {subjects}")

    return judge


def span_keeps(experiment: Experiment) -> Judged:
    """Whether the span of the scalpel's features keeps more than those of other features of the same SAE."""
    measured = experiment.projection
    if measured is None or measured.kept is None or measured.chance is None:
        return untested("no projection was measured")
    evidence = f"it keeps {percent(measured.kept)} of the energy, as norms pass it on, and loses the rest"
    drawn, others = measured.random, measured.others
    if drawn is not None:
        evidence += (
            f"; a random subspace of that rank keeps {percent(measured.chance)} on average, "
            f"{percent(drawn.low)} to {percent(drawn.high)} ({drawn.level:.0%} of them)"
        )
    if others is None or others.t is None or others.p is None:
        return untested(f"{evidence}; no other features of the same SAE were drawn")
    evidence += (
        f"; as many other features of the same SAE keep {percent(others.mean)} on average, "
        f"{percent(others.low)} to {percent(others.high)}"
    )
    return Judged(
        measured.kept - others.mean,
        others.p,
        f"t {signed(others.t)}, p {p_value(others.p)}: {evidence}",
        {"not shown": "a loss that any features of this SAE have says nothing about these"},
    )


def unharmed(one: str) -> Judge:
    """Whether an arm's loss on general text is the same as the base's, within the margin.

    "yes" takes two one-sided tests, that the change is below the margin and above its negative; "no" that it
    is above the margin. A loss that is lower by more is neither.
    """

    def judge(experiment: Experiment) -> Judged:
        if experiment.corpus is None:
            return untested("no general corpus was given")
        arm, documents, margin = experiment.arm(one), experiment.corpus.documents, experiment.harm_margin
        loss = change_of(arm.general if arm is not None else None)
        test = equivalence(loss, margin, experiment.alpha) if loss is not None else None
        if loss is None or test is None:
            return untested(f"no loss with an error for the arm {one}")
        within = abs(loss.delta) < margin
        p = test.p_within if within else test.p_above
        low, high = map(nats, test.interval)
        measured = f"{nats(loss.delta)} ({low} to {high}) over {documents} documents"
        if p is None:
            needed = items_needed(abs(loss.skewness) if within else -loss.skewness)
            return untested(
                f"{measured}, the changes of which have a skewness of {loss.skewness:.1f}: nothing is tested "
                f"with fewer than {needed}"
            )
        p = p if within else min(1.0, 2 * p)
        evidence = (
            f"p {p_value(p)} that the change is {'within' if within else 'above'} {margin:g} nats a token: "
            f"{measured}; against no change t {signed(loss.t)}, p {p_value(loss.p)}"
        )
        if loss.delta <= -margin:
            evidence += "; lower is no harm, but no proof that nothing changed either"
        return Judged(1.0 if within else -1.0, p, evidence)

    return judge
