"""``comparison.json``: what changed between evaluations of a base and of edited models.

With one edited model the file holds a :class:`Comparison`, with several a :class:`ComparisonSet`.
Numbers are unrounded, and null where there is none. Shares and scores are as lm-eval counts
them, from 0 to 1; a z or difference above 0 means that the edited model scored higher.
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
    """One of the evaluations."""

    label: str
    """Short name, as tables show it."""
    model: str
    """Model, as lm-eval names it."""
    results: str
    """Name of the results file."""
    lm_eval_version: str | None
    """Version that scored it."""


class Measures(Record):
    """What else is known of one side of a subject."""

    math_verify: float | None
    """Score by math_verify, which reads an answer in any form."""
    no_answer: float | None
    """Share of problems where no final answer could be extracted."""
    cut_off: float | None
    """Share of generations as long as the token limit; needs a tokenizer to count with."""
    mean_characters: float | None
    """Mean length of a generation."""
    mean_tokens: float | None
    """The same in tokens; needs a tokenizer."""


class PairedResult(Record):
    """The same problems before and after; only where both sides logged samples."""

    n: int = Field(ge=1)
    """Problems that both sides answered."""
    newly_right: int | None
    """Problems right only after the edit; null where problems are not scored 0 or 1."""
    newly_wrong: int | None
    """Problems right only before the edit."""
    mcnemar_p: float | None
    """Exact, two-sided."""
    z: float | None
    """Mean difference of the paired problems over its standard error."""
    p: float | None
    """Two-sided, of the paired z."""
    low: float | None
    """Bootstrap interval of the difference, at 1 - alpha; null where it was not asked for."""
    high: float | None
    """Its upper end."""


class Subject(Record):
    """One task, or one group of tasks."""

    task: str
    """Name, as lm-eval has it."""
    n: int | None
    """Problems on the base's side."""
    n_edited: int | None
    """Problems on the edited side; another number only with --allow-mismatch."""
    base: float
    """Score of the base model."""
    edited: float
    """Score of the edited model."""
    delta: float
    """Edited minus base."""
    z: float | None
    """By ``Comparison.test``; null where there is none, and for McNemar's test, which has none."""
    p: float | None
    """Two-sided, uncorrected."""
    p_adjusted: float | None
    """Corrected for the number of subjects; null for groups, which repeat their subjects."""
    verdict: Verdict
    """By ``p`` and alpha; "untested" where there is no p, for the reason given."""
    holds: bool
    """Whether an improved or degraded verdict stands after correction."""
    reason: str | None
    """Why there is no p."""
    base_stderr: float | None
    """lm-eval's standard error."""
    edited_stderr: float | None
    """The same of the edited side."""
    base_interval: tuple[float, float] | None
    """Wilson interval at 1 - alpha; null where problems are not scored 0 or 1."""
    edited_interval: tuple[float, float] | None
    """The same of the edited side."""
    detectable: float | None
    """Smallest true difference that the unpaired z-test finds with probability ``power``."""
    paired: PairedResult | None
    """The same problems before and after; null where samples were not logged."""
    base_measures: Measures
    """What else is known of the base side."""
    edited_measures: Measures
    """What else is known of the edited side."""
    dataset: DataSet | None = None
    """Where the edited side's problems come from; null for groups, and where its results do not say."""


class Comparison(Record):
    """One edited model against its base."""

    schema_version: Literal[1] = 1
    """Of this file."""
    base: Side
    """Before the edit."""
    edited: Side
    """After it."""
    metric: str
    """lm-eval's key: metric, comma, filter."""
    test: Test
    """Where ``z``, ``p`` and so the verdicts come from."""
    correction: Correction
    """Over subjects; where ``p_adjusted`` comes from."""
    alpha: float = Field(gt=0, lt=1)
    """Level of the tests."""
    power: float = Field(gt=0, lt=1)
    """Of ``Subject.detectable``."""
    draws: int = Field(ge=0)
    """Bootstrap resamples."""
    seed: int = Field(ge=0)
    """Of the bootstrap."""
    subjects: tuple[Subject, ...] = Field(min_length=1)
    """A line a task."""
    groups: tuple[Subject, ...]
    """lm-eval's groups whose members are all among the subjects; not counted below."""
    improved: int = Field(ge=0)
    """Subjects with this verdict, before correction."""
    degraded: int = Field(ge=0)
    """Subjects with this verdict, before correction."""
    unchanged: int = Field(ge=0)
    """Subjects with this verdict."""
    untested: int = Field(ge=0)
    """Subjects with this verdict."""
    mismatches: tuple[str, ...]
    """In what the runs differ beside the model; empty unless that was explicitly allowed."""
    notes: tuple[str, ...]
    """What a reader of the numbers has to know, in plain sentences."""

    def to_frame(self) -> "DataFrame":
        """The subjects as a pandas data frame, a row each, the edited model's name in front.

        Frames of several models can be joined by ``pandas.concat``; groups are in none.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_frame(Subject, self.subjects, [{"model": self.edited.label}] * len(self.subjects))


class ComparisonSet(Record):
    """Several edited models against one base."""

    schema_version: Literal[1] = 1
    """Of this file."""
    comparisons: tuple[Comparison, ...] = Field(min_length=2)
    """One an edited model, in the order they were given."""


def read_comparison(path: str | Path) -> Comparison:
    """Read a comparison of one edited model, from its file or the folder it is in.

    Raises:
        ArtifactError: Missing or not such a comparison.
    """
    path = Path(path)
    return read_record(path / COMPARISON_FILE if path.is_dir() else path, Comparison, "a comparison")
