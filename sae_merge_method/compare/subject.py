"""One subject of a comparison: two scores, their test, and everything beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import Correction, Measures, PairedResult, Subject, Test, Verdict
from sae_merge_method.artifacts.lm_eval_results import DataSet, Score
from sae_merge_method.compare.pairing import Pair
from sae_merge_method.statistics.intervals import count_right, detectable_difference, wilson_interval
from sae_merge_method.statistics.tests import (
    ZTest,
    bootstrap_interval,
    mcnemar_p,
    paired_z,
    z_pooled,
    z_unpooled,
)

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
    test = _test(base, edited, pairs, settings.test)
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
        verdict=judge(test, delta, settings.alpha, higher_is_better=higher_is_better),
        holds=False,
        reason=test.reason,
        base_stderr=stderrs[0],
        edited_stderr=stderrs[1],
        base_interval=_wilson(base, settings.alpha),
        edited_interval=_wilson(edited, settings.alpha),
        detectable=_detectable(stderrs[0], stderrs[1], settings.alpha),
        paired=_paired(pairs, settings) if pairs else None,
        base_measures=base.measures,
        edited_measures=edited.measures,
        dataset=edited.dataset,
    )


def judge(test: ZTest, delta: float, alpha: float, *, higher_is_better: bool) -> Verdict:
    """What a test says, in a word."""
    if test.p is None:
        return "untested"
    if test.p >= alpha:
        return "unchanged"
    return "improved" if (delta > 0) == higher_is_better else "degraded"


def _test(base: SideOfSubject, edited: SideOfSubject, pairs: Sequence[Pair], test: Test) -> ZTest:
    if test == "lm_eval":
        fewest = min((side.n for side in (base, edited) if side.n is not None), default=None)
        one, other = base.score, edited.score
        return z_unpooled(one.value, one.stderr, other.value, other.stderr, fewest)
    if test == "pooled":
        right = [_right(side) for side in (base, edited)]
        if right[0] is None or right[1] is None or base.n is None or edited.n is None:
            return ZTest(None, None, "the pooled test needs two or more problems, each scored 0 or 1")
        return z_pooled(right[0], right[1], base.n, edited.n)
    if not pairs:
        return ZTest(None, None, "a paired test needs samples of both sides (lm_eval --log_samples)")
    if test == "paired_z":
        return paired_z(_differences(pairs))
    flips = _flips(pairs)
    if flips is None:
        return ZTest(None, None, "McNemar's test needs problems scored 0 or 1")
    return ZTest(None, mcnemar_p(*flips))


def _paired(pairs: Sequence[Pair], settings: Settings) -> PairedResult:
    differences = _differences(pairs)
    flips = _flips(pairs)
    test = paired_z(differences)
    interval = None
    if settings.draws:
        interval = bootstrap_interval(differences, 1 - settings.alpha, settings.draws, settings.seed)
    return PairedResult(
        n=len(pairs),
        newly_right=flips[0] if flips else None,
        newly_wrong=flips[1] if flips else None,
        mcnemar_p=mcnemar_p(*flips) if flips else None,
        z=test.z,
        p=test.p,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def _differences(pairs: Sequence[Pair]) -> list[float]:
    return [edited.score - base.score for base, edited in pairs]


def _flips(pairs: Sequence[Pair]) -> tuple[int, int] | None:
    """How many were newly right and newly wrong; None where scores are not 0 or 1."""
    if any(row.score not in (0.0, 1.0) for both in pairs for row in both):
        return None
    differences = _differences(pairs)
    return differences.count(1.0), differences.count(-1.0)


def _right(side: SideOfSubject) -> int | None:
    return count_right(side.score.value, side.score.stderr, side.n)


def _wilson(side: SideOfSubject, alpha: float) -> tuple[float, float] | None:
    right = _right(side)
    if right is None or side.n is None:
        return None
    interval = wilson_interval(right, side.n, 1 - alpha)
    return interval.low, interval.high


def _detectable(base: float | None, edited: float | None, alpha: float) -> float | None:
    if base is None or edited is None or base == edited == 0:
        return None
    return detectable_difference((base**2 + edited**2) ** 0.5, alpha, POWER)
