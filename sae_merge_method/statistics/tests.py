"""The table of statistical tests that a comparison offers: its p, its interval, what it can detect.

To offer another: a function of :class:`~sae_merge_method.statistics.evidence.ScoreEvidence`, and a row in
:data:`TESTS`. The tests themselves are in ``differences``, ``flips`` and ``pairs``.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from sae_merge_method.statistics.differences import Tested, fisher, mcnemar, z_pooled, z_unpooled
from sae_merge_method.statistics.evidence import Evidence
from sae_merge_method.statistics.flips import detectable_by_flips, tango_interval
from sae_merge_method.statistics.intervals import (
    Interval,
    detectable_difference,
    newcombe_interval,
    normal_interval,
)
from sae_merge_method.statistics.pairs import (
    paired_interval,
    paired_stderr,
    paired_z,
    problem_sums,
    sign_flips,
)


class StatisticalTest(NamedTuple):
    """A test that a comparison may take its p from."""

    name: str
    """As options and artifacts have it."""
    title: str
    """As captions, the model card and --help have it."""
    source: str
    needs_pairs: bool
    """Whether it takes both models' answers to the same problems, which lm_eval logs with --log_samples."""
    outcome: Callable[[Evidence], Tested]
    interval: Callable[[Evidence, float], Interval | None] = lambda evidence, level: None
    """Of the difference, edited minus base, at a level; None where it has none."""
    detectable: Callable[[Evidence, float, float], float | None] = lambda evidence, alpha, power: None
    """Smallest true difference that it finds at alpha with such power; None where it cannot be told."""
    choose: Callable[[Evidence], str] | None = None
    """For a row that stands for others: which of them fits."""

    @property
    def description(self) -> str:
        """For help: what it is, whose it is, and what it needs."""
        needs = ", needs lm_eval --log_samples on both sides" if self.needs_pairs else ""
        return f"{self.title} ({self.source}){needs}"

    def for_this(self, evidence: Evidence) -> "StatisticalTest":
        """The row itself, or the one that it stands for here."""
        return self if self.choose is None else TESTS[self.choose(evidence)]

    def of(self, evidence: Evidence) -> Tested:
        """The outcome, or the reason why there is none."""
        if self.needs_pairs and not evidence.pairs:
            return Tested(None, None, "a paired test needs samples of both sides (lm_eval --log_samples)")
        return self.outcome(evidence)


PAPER = "lm_eval"
"""The paper's test, shown beside whichever a verdict is by."""

_EDGE = 5
"""With fewer right or wrong on a side a standard error tells too little of how sure a share is: the custom
for counts in a table of two by two."""


def _fitting(evidence: Evidence) -> str:
    """Paired where pairs are all there is to both scores; exact near the edges; else the paper's."""
    if evidence.covers_both:
        return "permutation" if evidence.flips is None or evidence.is_clustered else "mcnemar"
    counts = _counts(evidence)
    if counts and min(min(right, n - right) for right, n in counts) < _EDGE:
        return "fisher"
    return PAPER


def _counts(evidence: Evidence) -> list[tuple[int, int]]:
    """Problems right, and problems, of both sides; empty where they are not both known."""
    sides = [(side.right, side.n) for side in (evidence.base, evidence.edited)]
    known = [(right, n) for right, n in sides if right is not None and n is not None]
    return known if len(known) == 2 else []


def _unpooled(evidence: Evidence) -> Tested:
    base, edited = evidence.base, evidence.edited
    fewest = min((side.n for side in (base, edited) if side.n is not None), default=None)
    return z_unpooled(base.value, base.stderr, edited.value, edited.stderr, fewest)


def _pooled(evidence: Evidence) -> Tested:
    counts = _counts(evidence)
    if not counts:
        return Tested(None, None, "the pooled test needs two or more problems, each scored 0 or 1")
    (right_base, n_base), (right_edited, n_edited) = counts
    return z_pooled(right_base, right_edited, n_base, n_edited)


def _fisher(evidence: Evidence) -> Tested:
    counts = _counts(evidence)
    if not counts:
        return Tested(None, None, "Fisher's test needs two or more problems, each scored 0 or 1")
    (right_base, n_base), (right_edited, n_edited) = counts
    return fisher(right_base, right_edited, n_base, n_edited)


def _mcnemar(evidence: Evidence) -> Tested:
    flips = evidence.flips
    if flips is None:
        return Tested(None, None, "McNemar's test needs problems scored 0 or 1")
    return mcnemar(*flips)


def _paired(evidence: Evidence) -> Tested:
    return paired_z(evidence.differences, evidence.problems)


def _permuted(evidence: Evidence) -> Tested:
    return sign_flips(problem_sums(evidence.differences, evidence.problems))


def _stderr_of_two(evidence: Evidence) -> float | None:
    errors = (evidence.base.stderr, evidence.edited.stderr)
    return None if None in errors else math.hypot(*(error for error in errors if error is not None)) or None


def _interval_of_two(evidence: Evidence, level: float) -> Interval | None:
    stderr = _stderr_of_two(evidence)
    if stderr is None:
        return None
    return normal_interval(evidence.edited.value - evidence.base.value, stderr, level)


def _interval_of_counts(evidence: Evidence, level: float) -> Interval | None:
    counts = _counts(evidence)
    return newcombe_interval(counts[0], counts[1], level) if counts else None


def _interval_of_flips(evidence: Evidence, level: float) -> Interval | None:
    flips = evidence.flips
    if flips is None or evidence.is_clustered or not evidence.pairs:
        return paired_interval(evidence.differences, evidence.problems, level)
    return tango_interval(*flips, len(evidence.pairs), level)


def _normal_of_pairs(evidence: Evidence, level: float) -> Interval | None:
    stderr = paired_stderr(evidence.differences, evidence.problems)
    if not stderr:
        return None
    return normal_interval(sum(evidence.differences) / len(evidence.pairs), stderr, level)


def _by_two(evidence: Evidence, alpha: float, power: float) -> float | None:
    stderr = _stderr_of_two(evidence)
    return None if stderr is None else detectable_difference(stderr, alpha, power)


def _by_pairs(evidence: Evidence, alpha: float, power: float) -> float | None:
    stderr = paired_stderr(evidence.differences, evidence.problems)
    return detectable_difference(stderr, alpha, power) if stderr else None


def _by_flips(evidence: Evidence, alpha: float, power: float) -> float | None:
    flips = evidence.flips
    if flips is None or not evidence.pairs:
        return None
    return detectable_by_flips(*flips, len(evidence.pairs), alpha, power)


TESTS: dict[str, StatisticalTest] = {
    test.name: test
    for test in (
        StatisticalTest(
            "auto",
            "paired by problem where both sides logged samples, exact near the edges, else the paper's",
            "each as its own row says",
            needs_pairs=False,
            outcome=lambda evidence: TESTS[_fitting(evidence)].of(evidence),
            choose=_fitting,
        ),
        StatisticalTest(
            PAPER,
            "z-test with lm-eval's standard errors, unpooled",
            "the paper, arXiv 2605.28649",
            needs_pairs=False,
            outcome=_unpooled,
            interval=_interval_of_two,
            detectable=_by_two,
        ),
        StatisticalTest(
            "pooled",
            "pooled two-proportion z-test",
            "Fleiss, Levin & Paik 2003",
            needs_pairs=False,
            outcome=_pooled,
            interval=_interval_of_counts,
            detectable=_by_two,
        ),
        StatisticalTest(
            "fisher",
            "Fisher's exact test of two proportions",
            "Fisher 1935",
            needs_pairs=False,
            outcome=_fisher,
            interval=_interval_of_counts,
            detectable=_by_two,
        ),
        StatisticalTest(
            "mcnemar",
            "exact McNemar test, paired by problem",
            "McNemar 1947",
            needs_pairs=True,
            outcome=_mcnemar,
            interval=_interval_of_flips,
            detectable=_by_flips,
        ),
        StatisticalTest(
            "paired_z",
            "z-test of differences paired by problem",
            "Miller 2024, arXiv 2411.00640",
            needs_pairs=True,
            outcome=_paired,
            interval=_normal_of_pairs,
            detectable=_by_pairs,
        ),
        StatisticalTest(
            "permutation",
            "permutation test of differences paired by problem",
            "Fisher 1935",
            needs_pairs=True,
            outcome=_permuted,
            interval=_interval_of_flips,
            detectable=_by_pairs,
        ),
    )
}
