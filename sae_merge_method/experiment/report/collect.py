"""From an experiment's folder to one record: every arm that is done, and what all of them together say."""

from collections.abc import Mapping
from pathlib import Path

from sae_merge_method.artifacts.experiment import Arm, Experiment, GeneralCorpus, RankCorrelation
from sae_merge_method.artifacts.experiment_plan import (
    ARM_FILE,
    ARMS_FOLDER,
    RESULTS_FOLDER,
    ExperimentPlan,
    read_plan,
)
from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.compare.run import Evaluation
from sae_merge_method.compare.tasks import choose_tasks, resolve_metric
from sae_merge_method.errors import ArtifactError
from sae_merge_method.experiment.report.claims import conclusions
from sae_merge_method.experiment.report.measure import gain
from sae_merge_method.experiment.report.one_arm import Base, base_arm, measured_arm, read_done
from sae_merge_method.experiment.report.ranks import other_layers, random_sets, rank_among
from sae_merge_method.statistics.permutation import rank_correlation


def collect(folder: Path) -> Experiment:
    """Read an experiment, finished or not: same arms, same record, wherever the folder lies.

    Raises:
        ArtifactError: No plan, no base yet, or an arm that is damaged; the file is named.
        ComparisonError: An arm was evaluated on nothing that the base was.
    """
    plan = read_plan(folder)
    places = {arm.name: folder / ARMS_FOLDER / arm.name for arm in plan.arms}
    done = {name: place for name, place in places.items() if (place / ARM_FILE).is_file()}
    first = plan.arms[0].name
    if first not in done:
        raise ArtifactError(
            f"expected the base to be done before a report: no {ARM_FILE} in {places[first]} yet"
        )
    records = {name: read_done(place, name) for name, place in done.items()}
    run = read_results(done[first] / RESULTS_FOLDER)
    metric = resolve_metric(run, plan.metric)
    base = Base(
        records[first],
        Evaluation(run, first),
        metric,
        all(run.tasks[task].scores[metric].higher_is_better for task in choose_tasks(run, metric, ())),
    )
    arms = [base_arm(base, plan)]
    arms += [
        measured_arm(base, plan, record, done[name]) for name, record in records.items() if name != first
    ]
    return _with_findings(plan, base, tuple(arms), tuple(name for name in places if name not in done))


def _with_findings(
    plan: ExperimentPlan, base: Base, arms: tuple[Arm, ...], missing: tuple[str, ...]
) -> Experiment:
    up = base.higher_is_better
    pick = next((arm for arm in arms if arm.role == "pick" and not arm.mismatches), None)
    mine = None if pick is None else gain(pick, up)
    at_random, other = ([], []) if pick is None else (random_sets(arms, pick), other_layers(arms, pick))
    corpus = base.record.general
    found = Experiment(
        base=plan.base,
        donor=plan.donor,
        n_layers=plan.n_layers,
        layers=plan.layers,
        select=plan.select,
        score=plan.score,
        scores=plan.scores,
        weight=plan.weight,
        metric=base.metric,
        higher_is_better=up,
        alpha=plan.alpha,
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
        among_random=None if mine is None else rank_among(mine, [gain(arm, up) for arm in at_random]),
        among_all=None if mine is None else rank_among(mine, [gain(arm, up) for arm in other]),
        single_layers=_score_and_gain(arms, plan.scores, up),
        conclusions=(),
    )
    return found.model_copy(update={"conclusions": conclusions(found)})


def _score_and_gain(arms: tuple[Arm, ...], scores: Mapping[int, float], up: bool) -> RankCorrelation | None:
    """Specificity against gain, over every layer that was injected alone and has both."""
    known = [
        (scores[arm.layers[0]], gain(arm, up))
        for arm in arms
        if arm.role == "layer" and len(arm.layers) == 1 and arm.layers[0] in scores and not arm.mismatches
    ]
    correlation = rank_correlation([score for score, _ in known], [gained for _, gained in known])
    if correlation is None:
        return None
    return RankCorrelation(layers=correlation.n, rho=correlation.rho, p=correlation.p)
