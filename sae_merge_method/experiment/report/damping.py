"""The damping curve, all layers at weights from 0 up, and where every other arm lies beside it at its own
damage.

How an arm is held against it is for :mod:`sae_merge_method.statistics.beside_curve`; what a claim makes of
it, for :mod:`.claims`.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.conclusions import CurveStanding, DampingCurve
from sae_merge_method.artifacts.experiment import Experiment, MeasuredArm
from sae_merge_method.artifacts.experiment_plan import ExperimentPlan, GeneralText
from sae_merge_method.compare.evaluation import Evaluation
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.experiment.report.judged import Judged, untested
from sae_merge_method.experiment.report.measure import gain, is_share
from sae_merge_method.reports.numbers import amount, interval, nats, p_value
from sae_merge_method.statistics.beside_curve import (
    GainAndCost,
    Place,
    Score,
    Weighted,
    place_beside,
    stands,
)
from sae_merge_method.statistics.multiplicity import adjusted

Outcomes = Mapping[tuple[str, str], float]
"""By task and problem: so that their mean is the score over all tasks."""


def is_on_curve(arm: ArmIdentity, n_layers: int) -> bool:
    """Whether an arm is the raw task vector in every layer at one weight, as the base is at 0.

    Edits away from the donor, at weights below 0, are on no curve.
    """
    if arm.role == "base":
        return True
    return arm.role == "amount" and len(arm.layers) == n_layers and (arm.weight or 0.0) > 0


def outcomes(evaluation: Evaluation, metric: str, tasks: Iterable[str], score: float) -> Outcomes | None:
    """What each problem gave, over all tasks.

    Args:
        evaluation: Of one arm.
        metric: lm-eval's key of the score.
        tasks: All tasks that the score is over.
        score: The score over all of them.

    Returns:
        None where samples were not logged, or do not add up to the score.
    """
    answers = {task: evaluation.samples(task, metric).rows for task in tasks}
    if not answers or not all(answers.values()):
        return None
    total = sum(map(len, answers.values()))
    evenly = {task: total / len(answers) / len(rows) for task, rows in answers.items()}
    for weights in (dict.fromkeys(answers, 1.0), evenly):  # a mean over problems, or one of the tasks' means
        sums: defaultdict[tuple[str, str], float] = defaultdict(float)
        for task, rows in answers.items():
            for row in rows:
                sums[task, row.doc_hash] += weights[task] * row.score
        together = {key: value * len(sums) / total for key, value in sums.items()}
        if math.isclose(math.fsum(together.values()) / len(together), score, abs_tol=1e-9):
            return together
    return None


class ArmBesideCurve(NamedTuple):
    """An arm with what its place beside the curve is told from."""

    arm: MeasuredArm
    text: GeneralText
    outcomes: Outcomes | None


def damping_curve(
    plan: ExperimentPlan, measured: Sequence[ArmBesideCurve], *, up: bool, share: bool
) -> DampingCurve | None:
    """The curve, and every other arm beside it.

    Args:
        plan: Of the experiment.
        measured: The arms that are done, were evaluated as the base was, and have a loss on general text.
        up: Whether a higher value of the metric is better.
        share: Whether scores are shares, of which a point is a hundredth.

    Returns:
        None where no arm of all layers was damped: a line between two points is no curve.
    """
    curve = [one for one in measured if is_on_curve(one.arm, plan.n_layers)]
    if not any(ARMS["damped"].owns(one.arm.name) for one in curve):
        return None
    curve.sort(key=lambda one: (one.text.loss, one.arm.weight or 0.0))
    margin = plan.curve_margin * (0.01 if share else 1.0)
    others = [one for one in measured if one not in curve]
    held = [_held(one, curve, up) for one in others]
    corrected = adjusted([place.excess.p for place in held])
    standings = []
    for one, (low, high, excess), p in zip(others, held, corrected, strict=True):
        standings.append(
            CurveStanding(
                arm=one.arm.name,
                low=curve[low].arm.name,
                high=curve[high].arm.name,
                share=excess.share,
                delta=excess.delta,
                interval=excess.interval(1 - plan.alpha),
                p=excess.p,
                p_adjusted=p,
                stands=stands(excess, p, plan.alpha, margin),
                reason=excess.reason,
            )
        )
    return DampingCurve(arms=tuple(one.arm.name for one in curve), margin=margin, standings=tuple(standings))


def _held(one: ArmBesideCurve, curve: Sequence[ArmBesideCurve], up: bool) -> Place:
    """An arm beside the curve, problem by problem where both were asked the same ones, else by scores."""

    def outcome(other: ArmBesideCurve) -> GainAndCost:
        gains, own, its = None, one.outcomes, other.outcomes
        if own is not None and its is not None and own.keys() == its.keys():
            gains = [sign * its[key] for key in own]
        whole = other.arm.overall
        known = whole.stderr is not None and whole.n is not None
        score = Score(sign * whole.score, whole.stderr or 0.0, whole.n or 0) if known else None
        return GainAndCost(gains, other.text.nats, score)

    sign = 1.0 if up else -1.0
    points = [Weighted(each.arm.name, curve_weight(each.arm), outcome(each)) for each in curve]
    return place_beside(outcome(one), points)


def curve_weight(arm: ArmIdentity) -> float:
    """Weight of an arm of the curve; the base's is 0."""
    return 0.0 if arm.role == "base" else arm.weight or 0.0


def above_curve(experiment: Experiment) -> Judged:
    """Whether the pick gains more than all layers do at its own damage."""
    pick, curve = experiment.pick, experiment.damping_curve
    if pick is None:
        return untested("the pick is not done")
    if curve is None:
        why = "there are no damped arms" if experiment.corpus is not None else "no general corpus was given"
        return untested(why)
    one = next((standing for standing in curve.standings if standing.arm == pick.name), None)
    if one is None:
        return untested("the pick's damage is not known, or it was not evaluated as the base was")
    if one.p is None or one.delta is None:
        return untested(one.reason or "nothing was tested")
    share = is_share(experiment)
    own = gain(pick, experiment.higher_is_better)
    reach = f" ({interval(*one.interval, share)})" if one.interval is not None else ""
    if one.share is None:
        return Judged(
            one.delta,
            one.p,
            f"p {p_value(one.p)}: whatever its damage, it gains {amount(own, share)}, {one.low}, which comes "
            f"nearest of the curve, {amount(own - one.delta, share)}: {amount(one.delta, share)}{reach}",
        )
    return Judged(
        one.delta,
        one.p,
        f"p {p_value(one.p)}: at its damage of {nats(pick.damage)} nats a token it gains "
        f"{amount(own, share)}, the curve between {one.low} and {one.high} {amount(own - one.delta, share)}: "
        f"{amount(one.delta, share)}{reach}",
    )
