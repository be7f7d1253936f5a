"""What a test of one subject may look at: two mean scores, and the same problems answered by both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from sae_merge_method.statistics.intervals import count_right


class Mean(NamedTuple):
    """One side's score, as lm-eval sums it up."""

    value: float
    stderr: float | None
    """Standard error of the mean; None where there is none."""
    n: int | None
    """Problems; None where their number is not known."""
    counted: int | None = None
    """Problems that were right, where that is known beside the standard error, as it is of several tasks."""

    @property
    def right(self) -> int | None:
        """Problems that were right; None where they were not scored 0 or 1."""
        return count_right(self.value, self.stderr, self.n) if self.counted is None else self.counted


class Flips(NamedTuple):
    """Problems that changed sides."""

    newly_right: int
    newly_wrong: int


@dataclass(frozen=True)
class Evidence:
    """All that a test of one subject may look at."""

    base: Mean
    edited: Mean
    pairs: Sequence[tuple[float, float]] = ()
    """Scores of base and edited model on the same problem, one an answer; empty where they are not known."""
    problems: Sequence[str] = ()
    """Which problem each pair answers, where one may have several answers; empty where each is its own."""

    @cached_property
    def differences(self) -> list[float]:
        """Edited minus base, one a pair."""
        return [edited - base for base, edited in self.pairs]

    @cached_property
    def is_clustered(self) -> bool:
        """Whether a problem has several answers."""
        return len(set(self.problems)) < len(self.problems)

    @cached_property
    def flips(self) -> Flips | None:
        """Problems that flipped; None where not all are scored 0 or 1."""
        if not {score for pair in self.pairs for score in pair} <= {0.0, 1.0}:
            return None
        differences = self.differences
        return Flips(differences.count(1.0), differences.count(-1.0))

    @cached_property
    def covers_both(self) -> bool:
        """Whether the pairs are all that both scores are means of."""
        if not self.pairs or any(side.n not in (None, len(self.pairs)) for side in (self.base, self.edited)):
            return False
        mean = sum(self.differences) / len(self.pairs)
        return abs(mean - (self.edited.value - self.base.value)) <= 1e-9 * max(1.0, abs(self.base.value))
