"""One subject of a comparison: two scores, their test, and everything beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import Correction, Measures, PairedResult, Subject, Test
from sae_merge_method.artifacts.lm_eval_results import DataSet, Score
from sae_merge_method.compare.pairing import Pair
from sae_merge_method.statistics.differences import mcnemar_p, paired_z
from sae_merge_method.statistics.intervals import (
    Interval,
    bootstrap_interval,
    detectable_difference,
    wilson_interval,
)
from sae_merge_method.statistics.tests import TESTS, Evidence, Mean
from sae_merge_method.statistics.verdicts import judge

POWER = 0.8


@dataclass(frozen=True)
class Settings:
    """Everything a comparison can be asked for."""

    metric: str = "exact_match,none"
    alpha: float = 0.05
    test: Test = "lm_eval"
    correction: Correction = "holm"
    tasks: tuple[str, ...] = ()
    """Globs over tasks and groups; empty means every task with the metric."""
    draws: int = 10_000
    seed: int = 0
    allow_mismatch: bool = False
    tokenizer: Path | None = None


class SideOfSubject(NamedTuple):
    """One side of one subject."""

    score: Score
    n: int | None
    measures: Measures
    dataset: DataSet | None = None


def compare_subject(
    task: str, base: SideOfSubject, edited: SideOfSubject, pairs: Sequence[Pair], settings: Settings
) -> Subject:
    """Test one subject. Correction over subjects comes later: ``p_adjusted`` is still None.

    Args:
        task: Its name.
        base: Before the edit.
        edited: After it.
        pairs: The same problems on both sides; empty where samples were not logged.
        settings: What was asked for.
    """
    means = [Mean(side.score.value, side.score.stderr, side.n) for side in (base, edited)]
    evidence = Evidence(means[0], means[1], [(one.score, other.score) for one, other in pairs])
    test = TESTS[settings.test].of(evidence)
    delta = edited.score.value - base.score.value
    higher_is_better = base.score.higher_is_better and edited.score.higher_is_better
    stderrs = (base.score.stderr, edited.score.stderr)
    return Subject(
        task=task,
        n=base.n,
        n_edited=edited.n,
        base=base.score.value,
        edited=edited.score.value,
        delta=delta,
        z=test.z,
        p=test.p,
        p_adjusted=None,
        verdict=judge(test.p, delta, settings.alpha, higher_is_better=higher_is_better),
        holds=False,
        reason=test.reason,
        base_stderr=stderrs[0],
        edited_stderr=stderrs[1],
        base_interval=_wilson(evidence.base, settings.alpha),
        edited_interval=_wilson(evidence.edited, settings.alpha),
        detectable=_detectable(stderrs[0], stderrs[1], settings.alpha),
        paired=_paired(evidence, settings) if pairs else None,
        base_measures=base.measures,
        edited_measures=edited.measures,
        dataset=edited.dataset,
    )


def _paired(evidence: Evidence, settings: Settings) -> PairedResult:
    differences, flips = evidence.differences, evidence.flips
    test = paired_z(differences)
    interval = None
    if settings.draws:
        interval = bootstrap_interval(differences, 1 - settings.alpha, settings.draws, settings.seed)
    return PairedResult(
        n=len(differences),
        newly_right=flips[0] if flips else None,
        newly_wrong=flips[1] if flips else None,
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


def _detectable(base: float | None, edited: float | None, alpha: float) -> float | None:
    if base is None or edited is None or base == edited == 0:
        return None
    return detectable_difference((base**2 + edited**2) ** 0.5, alpha, POWER)
