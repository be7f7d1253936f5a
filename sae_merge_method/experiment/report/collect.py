"""From an experiment's folder to one record: every arm that is done, and what all of them together say."""

from collections.abc import Collection
from pathlib import Path

from sae_merge_method.artifacts.attribution import ATTRIBUTION_FILE, read_attribution
from sae_merge_method.artifacts.attribution_summary import AttributionSummary, summary_of
from sae_merge_method.artifacts.conclusions import ArmContrast, DampingCurve
from sae_merge_method.artifacts.experiment import Experiment, GeneralCorpus, MeasuredArm
from sae_merge_method.artifacts.experiment_plan import (
    ARM_FILE,
    ARMS_FOLDER,
    RESULTS_FOLDER,
    ExperimentPlan,
    read_plan,
)
from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.compare.evaluation import Evaluation
from sae_merge_method.compare.run import compare_evaluations
from sae_merge_method.compare.tasks import choose_tasks, resolve_metric
from sae_merge_method.errors import ArtifactError
from sae_merge_method.experiment.report.claims import CLAIMS, conclusions
from sae_merge_method.experiment.report.curves import score_and_gain
from sae_merge_method.experiment.report.damping import ArmBesideCurve, Outcomes, damping_curve, outcomes
from sae_merge_method.experiment.report.measure import between, gain
from sae_merge_method.experiment.report.one_arm import (
    Base,
    base_arm,
    measured_arm,
    read_done,
    settings_of,
    whole_of,
)
from sae_merge_method.experiment.report.standing import beside_matched, other_layers, rank_among
from sae_merge_method.reports.numbers import are_shares


def collect(folder: Path) -> Experiment:
    """Read an experiment, finished or not: same arms, same record, wherever the folder lies.

    Raises:
        ArtifactError: No plan, no base yet, or an arm that is damaged; the file is named.
        ComparisonError: An arm was evaluated on nothing that the base was.
    """
    plan = read_plan(folder)
    folders = {arm.name: folder / ARMS_FOLDER / arm.name for arm in plan.arms}
    done = {name: at for name, at in folders.items() if (at / ARM_FILE).is_file()}
    first = plan.arms[0].name
    if first not in done:
        raise ArtifactError(
            f"expected the base to be done before a report: no {ARM_FILE} in {folders[first]} yet"
        )
    records = {name: read_done(at, name) for name, at in done.items()}
    evaluations = {name: Evaluation(read_results(at / RESULTS_FOLDER), name) for name, at in done.items()}
    run = evaluations[first].run
    metric = resolve_metric(run, plan.metric)
    tasks = choose_tasks(run, metric, ())
    base = Base(
        records[first],
        evaluations[first],
        metric,
        all(run.tasks[task].scores[metric].higher_is_better for task in tasks),
    )
    pairs = _pairs_of_claims(evaluations)
    arms: list[MeasuredArm] = []
    answers: dict[str, Outcomes | None] = {}
    contrasts = []
    for name, record in records.items():
        is_base, evaluation = name == first, evaluations[name]
        arm = base_arm(base, plan) if is_base else measured_arm(base, plan, record, evaluation, done[name])
        arms.append(arm)
        answers[name] = outcomes(evaluation, metric, tasks, arm.overall.score)
        if all(name not in pair for pair in pairs):
            evaluations.pop(name)  # its answers are not needed again, and there may be many
    for one, other in pairs:
        compared = compare_evaluations(evaluations[other], evaluations[one], settings_of(plan, metric))
        contrasts.append(between(one, other, whole_of(compared)))
    missing = tuple(name for name in folders if name not in done)
    measured = [
        ArmBesideCurve(arm, text, answers[arm.name])
        for arm in arms
        if arm.general is not None and (text := records[arm.name].general) is not None and not arm.mismatches
    ]
    shares = are_shares(score.score for arm in arms for score in (arm.overall, *arm.subjects))
    curve = damping_curve(plan, measured, up=base.higher_is_better, share=shares)
    kept = folder / ATTRIBUTION_FILE
    summary = summary_of(read_attribution(kept)) if kept.is_file() else None
    return _with_conclusions(plan, base, tuple(arms), tuple(contrasts), missing, curve, summary)


def _pairs_of_claims(done: Collection[str]) -> list[tuple[str, str]]:
    """The pairs of arms that claims hold against each other, where both are done."""
    pairs = [(claim.arms[0], claim.arms[1]) for claim in CLAIMS.values() if len(claim.arms) == 2]
    return [pair for pair in dict.fromkeys(pairs) if set(pair) <= set(done)]


def _with_conclusions(
    plan: ExperimentPlan,
    base: Base,
    arms: tuple[MeasuredArm, ...],
    contrasts: tuple[ArmContrast, ...],
    missing: tuple[str, ...],
    curve: DampingCurve | None,
    attribution: AttributionSummary | None,
) -> Experiment:
    up, corpus = base.higher_is_better, base.record.general
    measured = Experiment(
        base=plan.base,
        donor=plan.donor,
        n_layers=plan.n_layers,
        layers=plan.layers,
        among=plan.among,
        select=plan.select,
        score=plan.score,
        scores=plan.scores,
        attribution=attribution,
        weight=plan.weight,
        metric=base.metric,
        higher_is_better=up,
        test=plan.test,
        alpha=plan.alpha,
        harm_margin=plan.harm_margin,
        evaluation=plan.evaluation,
        lm_eval_version=base.evaluation.run.lm_eval_version,
        corpus=None
        if corpus is None
        else GeneralCorpus(
            name=corpus.name, sha256=corpus.sha256, documents=len(corpus.nats), tokens=sum(corpus.tokens)
        ),
        arms=arms,
        missing=missing,
        projection=plan.projection,
        matched_sets=None,
        among_all=None,
        damping_curve=curve,
        single_layers=score_and_gain(arms, plan.scores, up),
        contrasts=contrasts,
        conclusions=(),
    )
    pick = measured.pick
    if pick is not None and not pick.mismatches:
        others = [gain(arm, up) for arm in other_layers(arms, pick)]
        ranks = {
            "matched_sets": beside_matched(measured, pick),
            "among_all": rank_among(gain(pick, up), others),
        }
        measured = measured.model_copy(update=ranks)
    return measured.model_copy(update={"conclusions": conclusions(measured)})
