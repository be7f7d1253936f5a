"""``comparison.json``: what changed between evaluations of a base and of edited models.

With one edited model the file holds a :class:`Comparison`, with several a :class:`ComparisonSet`.
Numbers are unrounded, and null where there is none. Shares and scores are as lm-eval counts them, from 0 to
1; a z or difference above 0 means that the edited model scored higher.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.lm_eval_results import DataSet
from sae_merge_method.artifacts.schema import OneOf, Record, read_record
from sae_merge_method.statistics.multiplicity import CORRECTIONS
from sae_merge_method.statistics.tests import TESTS
from sae_merge_method.statistics.verdicts import VERDICTS

if TYPE_CHECKING:
    from pandas import DataFrame

COMPARISON_FILE = "comparison.json"
TABLE_FILE = "comparison.md"

Verdict = Annotated[str, OneOf(VERDICTS)]
Test = Annotated[str, OneOf(TESTS)]
Correction = Annotated[str, OneOf(CORRECTIONS)]


class Side(Record):
    """One of the evaluations that are compared."""

    label: str
    """Short name of the model, as tables show it."""
    model: str
    """Name of the model, as lm-eval wrote it."""
    results: str
    """Name of lm-eval's results file."""
    lm_eval_version: str | None
    """Version of lm-eval that scored the model; null where the results file does not say."""


class Measures(Record):
    """What is known of one model's answers to a subject, beside their score."""

    math_verify: float | None
    """Share of answers that math_verify, which reads them in any form, takes for right; null where the task
    was not scored by it."""
    no_answer: float | None
    """Share of problems where no final answer could be extracted; null where the task extracts none."""
    cut_off: float | None
    """Share of generations as long as the token limit; null without a tokenizer to count with."""
    mean_characters: float | None
    """Mean length of a generation in characters; null where samples were not logged."""
    mean_tokens: float | None
    """Mean length of a generation in tokens; null without samples or without a tokenizer to count with."""


class PairedResult(Record):
    """The same problems answered before and after the edit; only where both sides logged samples."""

    n: int = Field(ge=1)
    """Problems that both models answered."""
    newly_right: int | None
    """Problems right only after the edit; null where problems are not scored 0 or 1."""
    newly_wrong: int | None
    """Problems right only before the edit; null where problems are not scored 0 or 1."""
    mcnemar_p: float | None
    """Exact two-sided p of McNemar's test on the problems that flipped; null where problems are not scored 0
    or 1."""
    z: float | None
    """Mean difference of the paired problems over its standard error; null where every problem changed
    alike."""
    p: float | None
    """Two-sided p of the paired z; null where there is no paired z."""
    low: float | None
    """Lower end of the bootstrap interval of the mean difference, at 1 - alpha; null where none was asked
    for."""
    high: float | None
    """Upper end of the bootstrap interval of the mean difference, at 1 - alpha; null where none was asked
    for."""


class Subject(Record):
    """One task, or one group of tasks, before and after the edit."""

    task: str
    """Name of the task or group, as lm-eval has it."""
    n: int | None
    """Problems the base model was given; null where the results file does not say."""
    n_edited: int | None
    """Problems the edited model was given, another number only with --allow-mismatch; null where the results
    file does not say."""
    base: float
    """Score of the base model."""
    edited: float
    """Score of the edited model."""
    delta: float
    """Score of the edited model minus that of the base model."""
    higher_is_better: bool
    """Whether a higher score is a better one."""
    z: float | None
    """Statistic of ``Comparison.test``; null where there is no test, and for tests that have only a p."""
    p: float | None
    """Two-sided p of ``Comparison.test``, uncorrected; null where there is no test."""
    p_adjusted: float | None
    """Two-sided p corrected for the number of subjects; null where there is no p, and for groups, which
    repeat their subjects."""
    verdict: Verdict
    """What ``p`` says at level alpha; "untested" where there is no p, for the reason given."""
    holds: bool
    """Whether an improved or degraded verdict stands after correction."""
    reason: str | None
    """Why there is no p; null where there is one."""
    base_stderr: float | None
    """Standard error of the base model's score, as lm-eval wrote it; null where lm-eval wrote none."""
    edited_stderr: float | None
    """Standard error of the edited model's score, as lm-eval wrote it; null where lm-eval wrote none."""
    base_interval: tuple[float, float] | None
    """Wilson interval of the base model's score, at 1 - alpha; null where problems are not scored 0 or 1."""
    edited_interval: tuple[float, float] | None
    """Wilson interval of the edited model's score, at 1 - alpha; null where problems are not scored 0 or
    1."""
    detectable: float | None
    """Smallest true difference that the unpaired z-test finds with probability ``Comparison.power``; null
    where there is no standard error."""
    paired: PairedResult | None
    """What the same problems, paired, say; null where they could not be paired."""
    base_measures: Measures
    """What else is known of the base model's answers."""
    edited_measures: Measures
    """What else is known of the edited model's answers."""
    dataset: DataSet | None = None
    """Where the edited model's problems come from; null for groups, and where the results file does not
    say."""


class Comparison(Record):
    """One edited model against its base."""

    schema_version: Literal[3] = 3
    """Version of this file's format."""
    base: Side
    """Evaluation of the base model, before the edit."""
    edited: Side
    """Evaluation of the edited model."""
    metric: str
    """Score that is compared, by lm-eval's key: metric, comma, filter."""
    test: Test
    """Statistical test that ``z``, ``p`` and so the verdicts come from."""
    correction: Correction
    """Correction over subjects that ``p_adjusted`` comes from."""
    alpha: float = Field(gt=0, lt=1)
    """Level of the tests; intervals are at 1 - alpha."""
    power: float = Field(gt=0, lt=1)
    """Probability with which ``Subject.detectable`` would be found."""
    draws: int = Field(ge=0)
    """Bootstrap resamples; 0 where no bootstrap interval was asked for."""
    seed: int = Field(ge=0)
    """Seed of the bootstrap."""
    subjects: tuple[Subject, ...] = Field(min_length=1)
    """Every task that is compared, in lm-eval's order."""
    groups: tuple[Subject, ...]
    """lm-eval's groups whose members are all among the subjects; not in the counts."""
    counts: dict[Verdict, int]
    """How many subjects got each verdict, before correction."""
    mismatches: tuple[str, ...]
    """What differs between the runs beside the model and changes the measurement, or has no score to compare,
    a sentence each; empty unless that was explicitly allowed."""
    marks: tuple[str, ...]
    """What differs between the runs beside the model and may move a score, a sentence each; compared all the
    same."""
    notes: tuple[str, ...]
    """What a reader of the numbers has to know, in plain sentences."""

    @property
    def comparisons(self) -> tuple["Comparison", ...]:
        """This comparison alone: one and several are read alike."""
        return (self,)

    def to_frame(self) -> "DataFrame":
        """The subjects as a pandas data frame, a row each, the edited model's name in front; groups left out.

        Raises:
            UsageError: pandas is not installed.
        """
        return _frame(self.comparisons)

    def standing(self, verdict: str) -> tuple[Subject, ...]:
        """Subjects whose verdict is this one, and stands after correction."""
        return tuple(subject for subject in self.subjects if subject.holds and subject.verdict == verdict)


class ComparisonSet(Record):
    """Several edited models against one base, by the same settings."""

    schema_version: Literal[3] = 3
    """Version of this file's format."""
    comparisons: tuple[Comparison, ...] = Field(min_length=2)
    """One comparison an edited model, in the order they were named."""

    def to_frame(self) -> "DataFrame":
        """The subjects of every model as one pandas data frame, the edited model's name in front.

        Raises:
            UsageError: pandas is not installed.
        """
        return _frame(self.comparisons)


def _frame(comparisons: tuple[Comparison, ...]) -> "DataFrame":
    rows = [(one.edited.label, subject) for one in comparisons for subject in one.subjects]
    return as_frame(Subject, [subject for _, subject in rows], [{"model": label} for label, _ in rows])


def read_comparison(path: Path) -> Comparison:
    """Read a comparison of one edited model, from its file or the folder it is in.

    Raises:
        ArtifactError: Missing or not such a comparison.
    """
    return read_record(path / COMPARISON_FILE if path.is_dir() else path, Comparison, "a comparison")
