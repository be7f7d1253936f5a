"""``comparison.json``: what changed between evaluations of a base and of edited models.

With one edited model the file holds a :class:`Comparison`, with several a :class:`ComparisonSet`.
Numbers are unrounded, and null where there is none.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sae_merge_method.artifacts.schema import Record, read_record

COMPARISON_FILE = "comparison.json"
TABLE_FILE = "comparison.md"

Verdict = Literal["improved", "degraded", "unchanged", "untested"]


class Side(Record):
    """One of the evaluations."""

    model: str
    """Model, as lm-eval names it."""
    results: str
    """Name of the results file."""
    lm_eval_version: str | None


class Subject(Record):
    """One task, or one group of tasks."""

    task: str
    n: int | None
    """Problems on the base's side."""
    base: float
    """Score of the base model."""
    edited: float
    """Score of the edited model."""
    delta: float
    """Edited minus base."""
    z: float | None
    p: float | None
    """Two-sided, uncorrected."""
    verdict: Verdict
    """By ``p`` and alpha; "untested" where there is no p, for the reason given."""
    reason: str | None
    """Why there is no z."""
    base_stderr: float | None
    """lm-eval's standard error."""
    edited_stderr: float | None


class Comparison(Record):
    """One edited model against its base."""

    schema_version: Literal[1] = 1
    base: Side
    edited: Side
    metric: str
    """lm-eval's key: metric, comma, filter."""
    test: str
    """Where ``z`` and ``p`` come from."""
    alpha: float = Field(gt=0, lt=1)
    subjects: tuple[Subject, ...] = Field(min_length=1)
    improved: int = Field(ge=0)
    degraded: int = Field(ge=0)
    unchanged: int = Field(ge=0)
    untested: int = Field(ge=0)
    notes: tuple[str, ...]
    """What a reader of the numbers has to know, in plain sentences."""


class ComparisonSet(Record):
    """Several edited models against one base."""

    schema_version: Literal[1] = 1
    comparisons: tuple[Comparison, ...] = Field(min_length=2)


def read_comparison(path: Path) -> Comparison:
    """Read a comparison of one edited model, from its file or the folder it is in.

    Raises:
        ArtifactError: Missing or not such a comparison.
    """
    return read_record(path / COMPARISON_FILE if path.is_dir() else path, Comparison, "a comparison")
