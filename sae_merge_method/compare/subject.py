"""One subject of a comparison: two scores, their test, and everything beside it."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.artifacts.lm_eval_results import DataSet, Score
from sae_merge_method.artifacts.subject import Measures, PairedResult, Subject
from sae_merge_method.compare.answers import Pair
from sae_merge_method.compare.settings import POWER, CompareSettings
from sae_merge_method.statistics.differences import mcnemar
from sae_merge_method.statistics.evidence import Evidence, Mean
from sae_merge_method.statistics.intervals import Interval, bootstrap_interval, wilson_interval
from sae_merge_method.statistics.multiplicity import CORRECTIONS, adjusted
from sae_merge_method.statistics.pairs import paired_z, problem_sums
from sae_merge_method.statistics.tests import PAPER, TESTS
from sae_merge_method.statistics.verdicts import VERDICTS, judge


class ScoredSide(NamedTuple):
    """One model's part in one subject."""

    score: Score
    n: int | None
    """Problems; None where their number is not known."""
    measures: Measures
    dataset: DataSet | None = None
    right: int | None = None
    """Problems right, of a group whose tasks tell it; None where only the standard error may."""

    @property
    def mean(self) -> Mean:
        """The score, as a test reads it."""
        return Mean(self.score.value, self.score.stderr, self.n, self.right)


def evidence_of(base: ScoredSide, edited: ScoredSide, pairs: Sequence[Pair]) -> Evidence:
    """What a test may look at."""
    return Evidence(
        base.mean, edited.mean, [pair.scores for pair in pairs], [pair.base.doc_hash for pair in pairs]
    )


def compare_subject(
    task: str,
    base: ScoredSide,
    edited: ScoredSide,
    evidence: Evidence,
    settings: CompareSettings,
    unit: float,
) -> Subject:
    """Test one subject. What depends on all subjects is filled in by :func:`corrected`.

    Args:
        task: Name of the task or group.
        base: Before the edit.
        edited: After it.
        evidence: Of both, with the same problems on both sides where samples were logged.
        settings: What was asked for.
        unit: What a point is, of the score.
    """
    alpha, margin = settings.alpha, settings.margin
    test = TESTS[settings.test].for_this(evidence)
    outcome, paper = test.of(evidence), TESTS[PAPER].of(evidence)
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
        test=test.name,
        z=outcome.z,
        p=outcome.p,
        p_adjusted=None,
        paper_z=paper.z,
        paper_p=paper.p,
        interval=test.interval(evidence, 1 - alpha),
        verdict=judge(
            outcome.p,
            delta,
            alpha,
            higher_is_better=higher_is_better,
            likely=None if margin is None else test.interval(evidence, 1 - 2 * alpha),
            margin=None if margin is None else margin * unit,
        ),
        holds=False,
        reason=outcome.reason,
        base_stderr=base.score.stderr,
        edited_stderr=edited.score.stderr,
        base_interval=_wilson(base.mean, alpha),
        edited_interval=_wilson(edited.mean, alpha),
        detectable=test.detectable(evidence, alpha, POWER),
        paired=_paired(evidence, settings) if evidence.pairs else None,
        base_measures=base.measures,
        edited_measures=edited.measures,
        dataset=edited.dataset,
    )


def corrected(subjects: Sequence[Subject], settings: CompareSettings) -> tuple[Subject, ...]:
    """The same subjects, or groups, with their corrected p; those without a p take no part."""
    p_values = adjusted([subject.p for subject in subjects], CORRECTIONS[settings.correction].adjust)
    made = []
    for subject, p in zip(subjects, p_values, strict=True):
        holds = VERDICTS[subject.verdict].is_change and p is not None and p < settings.alpha
        made.append(subject.model_copy(update={"p_adjusted": p, "holds": holds}))
    return tuple(made)


def _paired(evidence: Evidence, settings: CompareSettings) -> PairedResult:
    differences, flips = evidence.differences, evidence.flips
    test = paired_z(differences, evidence.problems)
    interval = None
    if settings.draws:
        sums, sizes = problem_sums(differences, evidence.problems), [*Counter(evidence.problems).values()]
        interval = bootstrap_interval(sums, 1 - settings.alpha, settings.draws, settings.seed, sizes)
    return PairedResult(
        n=len(differences),
        problems=len(set(evidence.problems)),
        newly_right=flips.newly_right if flips else None,
        newly_wrong=flips.newly_wrong if flips else None,
        mcnemar_p=mcnemar(*flips).p if flips else None,
        z=test.z,
        p=test.p,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def _wilson(mean: Mean, alpha: float) -> Interval | None:
    if mean.right is None or mean.n is None:
        return None
    return wilson_interval(mean.right, mean.n, 1 - alpha)
