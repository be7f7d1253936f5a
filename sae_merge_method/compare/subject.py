"""One subject of a comparison: two scores, their test, and everything beside it."""

from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import Measures, PairedResult, Subject
from sae_merge_method.artifacts.lm_eval_results import DataSet, Score
from sae_merge_method.compare.answers import Pair
from sae_merge_method.compare.settings import POWER, CompareSettings
from sae_merge_method.statistics.differences import mcnemar_p, paired_z
from sae_merge_method.statistics.intervals import (
    Interval,
    bootstrap_interval,
    detectable_difference,
    wilson_interval,
)
from sae_merge_method.statistics.multiplicity import CORRECTIONS
from sae_merge_method.statistics.tests import TESTS, Evidence, Mean
from sae_merge_method.statistics.verdicts import VERDICTS, judge


class ScoredSide(NamedTuple):
    """One model's part in one subject."""

    score: Score
    n: int | None
    """Problems; None where their number is not known."""
    measures: Measures
    dataset: DataSet | None = None

    @property
    def mean(self) -> Mean:
        """The score, as a test reads it."""
        return Mean(self.score.value, self.score.stderr, self.n)


def compare_subject(
    task: str, base: ScoredSide, edited: ScoredSide, pairs: Sequence[Pair], settings: CompareSettings
) -> Subject:
    """Test one subject. What depends on all subjects is filled in by :func:`corrected`.

    Args:
        task: Name of the task or group.
        base: Before the edit.
        edited: After it.
        pairs: The same problems on both sides; empty where samples were not logged.
        settings: What was asked for.
    """
    evidence = Evidence(base.mean, edited.mean, [pair.scores for pair in pairs])
    test = TESTS[settings.test].of(evidence)
    delta = edited.score.value - base.score.value
    higher_is_better = base.score.higher_is_better and edited.score.higher_is_better
    return Subject(
        task=task,
        n=base.n,
        n_edited=edited.n,
        base=base.score.value,
        edited=edited.score.value,
        delta=delta,
        higher_is_better=higher_is_better,
        z=test.z,
        p=test.p,
        p_adjusted=None,
        verdict=judge(test.p, delta, settings.alpha, higher_is_better=higher_is_better),
        holds=False,
        reason=test.reason,
        base_stderr=base.score.stderr,
        edited_stderr=edited.score.stderr,
        base_interval=_wilson(base.mean, settings.alpha),
        edited_interval=_wilson(edited.mean, settings.alpha),
        detectable=_detectable(base.score.stderr, edited.score.stderr, settings.alpha),
        paired=_paired(evidence, settings) if pairs else None,
        base_measures=base.measures,
        edited_measures=edited.measures,
        dataset=edited.dataset,
    )


def corrected(subjects: Sequence[Subject], settings: CompareSettings) -> tuple[Subject, ...]:
    """The same subjects with their corrected p; those without a p take no part."""
    p_values = [subject.p for subject in subjects if subject.p is not None]
    adjusted = iter(CORRECTIONS[settings.correction].adjust(p_values))
    made = []
    for subject in subjects:
        p = None if subject.p is None else next(adjusted)
        holds = VERDICTS[subject.verdict].is_change and p is not None and p < settings.alpha
        made.append(subject.model_copy(update={"p_adjusted": p, "holds": holds}))
    return tuple(made)


def _paired(evidence: Evidence, settings: CompareSettings) -> PairedResult:
    differences, flips = evidence.differences, evidence.flips
    test = paired_z(differences)
    interval = None
    if settings.draws:
        interval = bootstrap_interval(differences, 1 - settings.alpha, settings.draws, settings.seed)
    return PairedResult(
        n=len(differences),
        newly_right=flips.newly_right if flips else None,
        newly_wrong=flips.newly_wrong if flips else None,
        mcnemar_p=mcnemar_p(*flips) if flips else None,
        z=test.z,
        p=test.p,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def _wilson(mean: Mean, alpha: float) -> Interval | None:
    if mean.right is None or mean.n is None:
        return None
    return wilson_interval(mean.right, mean.n, 1 - alpha)


def _detectable(base_stderr: float | None, edited_stderr: float | None, alpha: float) -> float | None:
    if base_stderr is None or edited_stderr is None or base_stderr == edited_stderr == 0:
        return None
    return detectable_difference((base_stderr**2 + edited_stderr**2) ** 0.5, alpha, POWER)
