"""From an experiment's folder to one record: every arm that is done beside the base."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sae_merge_method.artifacts.experiment import Arm, Experiment, GeneralCorpus
from sae_merge_method.artifacts.experiment_arm import (
    ARM_FILE,
    RESULTS_FOLDER,
    ArmRecord,
    GeneralText,
    read_arm,
)
from sae_merge_method.artifacts.experiment_plan import ARMS_FOLDER, ExperimentPlan, read_plan
from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.compare.subject import Settings
from sae_merge_method.compare.subjects import choose_tasks, resolve_metric
from sae_merge_method.compare.verdict import Evaluation, compare_runs
from sae_merge_method.errors import ArtifactError, ComparisonError
from sae_merge_method.experiment.conclusions import conclusions
from sae_merge_method.experiment.correlation import rank_correlation
from sae_merge_method.experiment.gains import gain
from sae_merge_method.experiment.general import general_loss
from sae_merge_method.experiment.ranks import other_layers, random_sets, rank_among
from sae_merge_method.experiment.scores import alone, beside_base, overall, whole

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Base:
    """What every arm is held against."""

    record: ArmRecord
    evaluation: Evaluation
    metric: str
    higher_is_better: bool


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
    records = {name: _read_arm(place, name) for name, place in done.items()}
    run = read_results(done[first] / RESULTS_FOLDER)
    metric = resolve_metric(run, plan.metric)
    base = _Base(
        records[first],
        Evaluation(run, first),
        metric,
        all(run.tasks[task].scores[metric].higher_is_better for task in choose_tasks(run, metric, ())),
    )
    arms = [_base_arm(base, plan)]
    arms += [_arm(base, plan, record, done[name]) for name, record in records.items() if name != first]
    return _with_findings(plan, base, tuple(arms), tuple(name for name in places if name not in done))


def _read_arm(place: Path, name: str) -> ArmRecord:
    record = read_arm(place)
    if record.name != name:
        raise ArtifactError(f"expected the arm {name} in {place / ARM_FILE}, found {record.name}")
    text = record.general
    if text is not None and (len(text.nats) != len(text.tokens) or sum(text.tokens) <= 0):
        raise ArtifactError(
            f"{place / ARM_FILE}: expected as many token counts as losses under general, and tokens in them, "
            f"got {len(text.nats)} and {len(text.tokens)}"
        )
    return record


def _base_arm(base: _Base, plan: ExperimentPlan) -> Arm:
    run, metric = base.evaluation.run, base.metric
    subjects = [run.tasks[name] for name in choose_tasks(run, metric, ())]
    text = base.record.general
    return _as_arm(
        base.record,
        plan,
        overall=alone(*whole(run, metric)),
        subjects=tuple(
            alone(task.name, task.n, task.scores[metric].value, task.scores[metric].stderr)
            for task in subjects
        ),
        general=general_loss(text) if text else None,
    )


def _arm(base: _Base, plan: ExperimentPlan, record: ArmRecord, place: Path) -> Arm:
    run = read_results(place / RESULTS_FOLDER)
    settings = Settings(metric=base.metric, alpha=plan.alpha, draws=0, allow_mismatch=True)
    try:
        found = compare_runs(base.evaluation, Evaluation(run, record.name), settings)
    except ComparisonError as error:
        raise ComparisonError(f"arm {record.name}: {error}") from error
    if found.mismatches:
        LOG.warning("%s differs from the base in more than the model: %s", record.name, found.mismatches[0])
    text = _same_corpus(base.record.general, record, place)
    return _as_arm(
        record,
        plan,
        overall=overall(
            whole(base.evaluation.run, base.metric),
            whole(run, base.metric),
            plan.alpha,
            higher_is_better=base.higher_is_better,
        ),
        subjects=tuple(map(beside_base, found.subjects)),
        general=general_loss(base.record.general, text) if base.record.general and text else None,
        mismatches=found.mismatches,
        notes=found.notes,
    )


def _as_arm(record: ArmRecord, plan: ExperimentPlan, **measured: object) -> Arm:
    return Arm.model_validate(
        {
            "name": record.name,
            "role": record.role,
            "says": record.says,
            "method": record.method,
            "layers": record.layers,
            "energy": record.energy,
            "share": record.energy / plan.task_vector_energy,
            "result_sha256": record.result_sha256,
            "mismatches": (),
            "notes": (),
            **measured,
        }
    )


def _same_corpus(base: GeneralText | None, record: ArmRecord, place: Path) -> GeneralText | None:
    """The arm's general text, where its loss can be held against the base's."""
    text = record.general
    if base is None or text is None:
        return None
    if text.sha256 != base.sha256 or len(text.nats) != len(base.nats):
        raise ArtifactError(
            f"{place / ARM_FILE}: general loss of {text.name} ({len(text.nats)} documents, sha256 "
            f"{text.sha256[:12]}), but the base's is of {base.name} ({len(base.nats)}, {base.sha256[:12]})"
        )
    if text.tokens != base.tokens:
        LOG.warning("%s has another tokenizer than the base: losses a token are not comparable", record.name)
        return None
    return text


def _with_findings(
    plan: ExperimentPlan, base: _Base, arms: tuple[Arm, ...], missing: tuple[str, ...]
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
        single_layers=rank_correlation(*_single_layers(arms, plan.scores, up)),
        conclusions=(),
    )
    return found.model_copy(update={"conclusions": conclusions(found)})


def _single_layers(
    arms: tuple[Arm, ...], scores: Mapping[int, float], up: bool
) -> tuple[list[float], list[float]]:
    """Specificity and gain of every layer that was injected alone and has both."""
    known = [
        (scores[arm.layers[0]], gain(arm, up))
        for arm in arms
        if arm.role == "layer" and len(arm.layers) == 1 and arm.layers[0] in scores and not arm.mismatches
    ]
    return [score for score, _ in known], [gained for _, gained in known]
