"""The table of statistical tests that a comparison offers, and what each of them may look at.

To offer another: a function of :class:`Evidence`, and a row in :data:`TESTS`. The tests themselves are in
``differences``.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sae_merge_method.statistics.differences import Outcome, mcnemar_p, paired_z, z_pooled, z_unpooled
from sae_merge_method.statistics.intervals import count_right


class Mean(NamedTuple):
    """One side's score, as lm-eval sums it up."""

    value: float
    stderr: float | None
    """Standard error of the mean; None where there is none."""
    n: int | None
    """Problems; None where their number is not known."""

    @property
    def right(self) -> int | None:
        """Problems that were right; None where they were not scored 0 or 1."""
        return count_right(self.value, self.stderr, self.n)


class Evidence(NamedTuple):
    """All that a test of one subject may look at."""

    base: Mean
    edited: Mean
    pairs: Sequence[tuple[float, float]] = ()
    """Scores of base and edited model on the same problem, one a problem; empty where they are not known."""

    @property
    def differences(self) -> list[float]:
        """Edited minus base, one a problem."""
        return [edited - base for base, edited in self.pairs]

    @property
    def flips(self) -> "Flips | None":
        """Problems that flipped; None where not all are scored 0 or 1."""
        if any(score not in (0.0, 1.0) for pair in self.pairs for score in pair):
            return None
        differences = self.differences
        return Flips(differences.count(1.0), differences.count(-1.0))


class Flips(NamedTuple):
    """Problems that changed sides."""

    newly_right: int
    newly_wrong: int


class StatisticalTest(NamedTuple):
    """A test that a comparison may take its p from."""

    name: str
    """As options and artifacts have it."""
    title: str
    """As captions, the model card and --help have it."""
    source: str
    needs_pairs: bool
    """Whether it takes both models' answers to the same problems, which lm_eval logs with --log_samples."""
    outcome: Callable[[Evidence], Outcome]

    @property
    def description(self) -> str:
        """For help: what it is, whose it is, and what it needs."""
        needs = ", needs lm_eval --log_samples on both sides" if self.needs_pairs else ""
        return f"{self.title} ({self.source}){needs}"

    def of(self, evidence: Evidence) -> Outcome:
        """The outcome, or the reason why there is none."""
        if self.needs_pairs and not evidence.pairs:
            return Outcome(None, None, "a paired test needs samples of both sides (lm_eval --log_samples)")
        return self.outcome(evidence)


def _unpooled(evidence: Evidence) -> Outcome:
    base, edited = evidence.base, evidence.edited
    fewest = min((side.n for side in (base, edited) if side.n is not None), default=None)
    return z_unpooled(base.value, base.stderr, edited.value, edited.stderr, fewest)


def _pooled(evidence: Evidence) -> Outcome:
    base, edited = evidence.base, evidence.edited
    if base.right is None or edited.right is None or base.n is None or edited.n is None:
        return Outcome(None, None, "the pooled test needs two or more problems, each scored 0 or 1")
    return z_pooled(base.right, edited.right, base.n, edited.n)


def _mcnemar(evidence: Evidence) -> Outcome:
    flips = evidence.flips
    if flips is None:
        return Outcome(None, None, "McNemar's test needs problems scored 0 or 1")
    return Outcome(None, mcnemar_p(*flips))


def _paired(evidence: Evidence) -> Outcome:
    return paired_z(evidence.differences)


TESTS: dict[str, StatisticalTest] = {
    test.name: test
    for test in (
        StatisticalTest(
            "lm_eval",
            "z-test with lm-eval's standard errors, unpooled",
            "the paper, arXiv 2605.28649",
            needs_pairs=False,
            outcome=_unpooled,
        ),
        StatisticalTest(
            "pooled",
            "pooled two-proportion z-test",
            "Fleiss, Levin & Paik 2003",
            needs_pairs=False,
            outcome=_pooled,
        ),
        StatisticalTest(
            "mcnemar",
            "exact McNemar test, paired by problem",
            "McNemar 1947",
            needs_pairs=True,
            outcome=_mcnemar,
        ),
        StatisticalTest(
            "paired_z",
            "z-test of differences paired by problem",
            "Miller 2024, arXiv 2411.00640",
            needs_pairs=True,
            outcome=_paired,
        ),
    )
}
