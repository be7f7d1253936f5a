"""``comparison.json``: what changed between evaluations of a base and of edited models.

With one edited model the file holds a :class:`Comparison`, with several a :class:`ComparisonSet`.
Numbers are unrounded, and null where there is none. Shares and scores are as lm-eval counts them, from 0 to
1; a z or difference above 0 means that the edited model scored higher.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.schema import OneOf, Record, read_record
from sae_merge_method.artifacts.subject import Subject, Test, Verdict
from sae_merge_method.statistics.multiplicity import CORRECTIONS

if TYPE_CHECKING:
    from pandas import DataFrame

COMPARISON_FILE = "comparison.json"
TABLE_FILE = "comparison.md"

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
    result_sha256: str | None
    """Hash of the checkpoint that was evaluated, as its edit report has it; null where the results name no
    folder with such a report, or one that was written after the evaluation or is not of the folder's
    weights."""


class Gate(Record):
    """Whether the edit did damage: all problems together, and each subject."""

    whole: str | None
    """Name of the subject or group that stands for all problems together; null where lm-eval does not say how
    many problems there were, and where more is better in some tasks and worse in others."""
    max_loss: float | None
    """Loss over all problems that is allowed, in the score's own unit; null where nobody said."""
    regressions: tuple[str, ...]
    """Losses that are shown after correction, and whatever could not be tested, a sentence each; empty where
    there are none."""
    excesses: tuple[str, ...]
    """Why the loss is not shown to be smaller than ``max_loss``, a sentence each; empty where it is, and
    where nobody said what is allowed."""


class Comparison(Record):
    """One edited model against its base."""

    schema_version: Literal[4] = 4
    """Version of this file's format."""
    base: Side
    """Evaluation of the base model, before the edit."""
    edited: Side
    """Evaluation of the edited model."""
    metric: str
    """Score that is compared, by lm-eval's key: metric, comma, filter."""
    test: Test
    """Statistical test that was asked for; "auto" takes for each subject the one that fits."""
    correction: Correction
    """Correction that ``p_adjusted`` comes from, over subjects and over groups."""
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
    """lm-eval's groups whose members are all among the subjects, and "all tasks" where none of them has all;
    not in the counts."""
    margin: float | None
    """Change that does not matter, in the score's own unit: what is shown to be smaller is "equivalent"; null
    where nobody said."""
    gate: Gate
    """Whether the edit did damage."""
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

    @property
    def whole(self) -> Subject | None:
        """All problems together; None where their number is not known, or metrics run in both directions."""
        named = (*self.groups, *self.subjects)
        return next((one for one in named if one.task == self.gate.whole), None)

    def standing(self, verdict: str) -> tuple[Subject, ...]:
        """Subjects whose verdict is this one, and stands after correction."""
        return tuple(subject for subject in self.subjects if subject.holds and subject.verdict == verdict)


class ComparisonSet(Record):
    """Several edited models against one base, by the same settings."""

    schema_version: Literal[4] = 4
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
