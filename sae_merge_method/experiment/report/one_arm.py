"""One arm beside the base: its scores, its general loss, and what a reader has to know of both."""

import logging
from dataclasses import dataclass
from pathlib import Path

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.experiment import MeasuredArm
from sae_merge_method.artifacts.experiment_plan import (
    ARM_FILE,
    ArmRecord,
    ExperimentPlan,
    GeneralText,
    read_arm,
)
from sae_merge_method.artifacts.subject import Subject
from sae_merge_method.compare.evaluation import Evaluation
from sae_merge_method.compare.run import compare_evaluations
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.errors import ArtifactError, ComparisonError
from sae_merge_method.experiment.metric import expected_one_way
from sae_merge_method.experiment.report.measure import alone, beside_base, general_loss

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Base:
    """What every arm is held against."""

    record: ArmRecord
    evaluation: Evaluation
    metric: str
    higher_is_better: bool


def read_done(folder: Path, name: str) -> ArmRecord:
    """The record of an arm that is done.

    Args:
        folder: The arm's.
        name: Of the arm that is planned there.

    Raises:
        ArtifactError: Damaged, or of another arm.
    """
    record = read_arm(folder)
    if record.name != name:
        raise ArtifactError(f"expected the arm {name} in {folder / ARM_FILE}, found {record.name}")
    text = record.general
    if text is not None and (len(text.nats) != len(text.tokens) or sum(text.tokens) <= 0):
        raise ArtifactError(
            f"{folder / ARM_FILE}: expected as many token counts as losses under general, and tokens in "
            f"them, got {len(text.nats)} and {len(text.tokens)}"
        )
    return record


def settings_of(plan: ExperimentPlan, metric: str) -> CompareSettings:
    """How arms are compared; what differs beside the model is marked, and keeps an arm out of conclusions."""
    return CompareSettings(metric=metric, test=plan.test, alpha=plan.alpha, draws=0, allow_mismatch=True)


def whole_of(comparison: Comparison) -> Subject:
    """All tasks together.

    Raises:
        ArtifactError: lm-eval does not say how many problems a task has, or they cannot be one score.
    """
    if comparison.whole is None and len({one.higher_is_better for one in comparison.subjects}) > 1:
        raise ArtifactError(
            expected_one_way(
                comparison.metric, f"in {comparison.edited.results} of {comparison.edited.label}"
            )
        )
    if comparison.whole is None:
        raise ArtifactError(
            f"expected the number of problems of every task in {comparison.edited.results} of "
            f"{comparison.edited.label}"
        )
    return comparison.whole


def base_arm(base: Base, plan: ExperimentPlan) -> MeasuredArm:
    """The base, held against nothing.

    Raises:
        ArtifactError: Its results do not say how many problems there were.
    """
    itself = compare_evaluations(base.evaluation, base.evaluation, settings_of(plan, base.metric))
    whole, text = whole_of(itself), base.record.general
    return _as_arm(
        base.record,
        plan,
        overall=alone(whole),
        subjects=tuple(map(alone, itself.subjects)),
        answered=_answered(whole),
        general=general_loss(text) if text else None,
    )


def measured_arm(
    base: Base, plan: ExperimentPlan, record: ArmRecord, evaluation: Evaluation, folder: Path
) -> MeasuredArm:
    """An arm beside the base.

    Args:
        base: The base.
        plan: Of the experiment.
        record: The arm's.
        evaluation: What lm-eval wrote of it.
        folder: The arm's, to name it.

    Raises:
        ArtifactError: Its results are damaged, or its general text is another corpus.
        ComparisonError: It was evaluated on nothing that the base was.
    """
    name = record.name
    try:
        comparison = compare_evaluations(base.evaluation, evaluation, settings_of(plan, base.metric))
    except ComparisonError as error:
        raise ComparisonError(f"arm {name}: {error}") from error
    if comparison.mismatches:
        LOG.warning("%s differs from the base in more than the model: %s", name, comparison.mismatches[0])
    text, whole = _same_corpus(base.record.general, record, folder), whole_of(comparison)
    return _as_arm(
        record,
        plan,
        overall=beside_base(whole, is_whole=True),
        subjects=tuple(map(beside_base, comparison.subjects)),
        answered=_answered(whole),
        general=general_loss(base.record.general, text) if base.record.general and text else None,
        mismatches=comparison.mismatches,
        notes=(*(f"May move a score: {line}" for line in comparison.marks), *comparison.notes),
    )


def _answered(whole: Subject) -> float | None:
    missing = whole.edited_measures.no_answer
    return None if missing is None else 1 - missing


def _as_arm(record: ArmRecord, plan: ExperimentPlan, **measured: object) -> MeasuredArm:
    known = {
        **{name: getattr(record, name) for name in ArmIdentity.model_fields},
        "energy": record.energy,
        "share": record.energy / plan.task_vector_energy,
        "realised": record.realised,
        "rounding": record.rounding,
        "result_sha256": record.result_sha256,
        "cut_off": record.cut_off,
        "mismatches": (),
        "notes": (),
    }
    return MeasuredArm.model_validate(known | measured)


def _same_corpus(base: GeneralText | None, record: ArmRecord, folder: Path) -> GeneralText | None:
    """The arm's general text, where its loss can be held against the base's."""
    text = record.general
    if base is None or text is None:
        return None
    if text.sha256 != base.sha256 or len(text.nats) != len(base.nats):
        raise ArtifactError(
            f"{folder / ARM_FILE}: general loss of {text.name} ({len(text.nats)} documents, sha256 "
            f"{text.sha256[:12]}), but the base's is of {base.name} ({len(base.nats)}, {base.sha256[:12]})"
        )
    if text.tokens != base.tokens:
        LOG.warning("%s has another tokenizer than the base: losses a token are not comparable", record.name)
        return None
    return text
