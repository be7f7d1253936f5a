"""``comparison.json``: what changed between evaluations of a base and of edited models.

With one edited model the file holds a :class:`Comparison`, with several a :class:`ComparisonSet`.
Numbers are unrounded, and null where there is none. Shares and scores are as lm-eval counts
them, from 0 to 1; a z or difference above 0 means that the edited model scored higher.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sae_merge_method.artifacts.schema import Record, read_record

COMPARISON_FILE = "comparison.json"
TABLE_FILE = "comparison.md"

Verdict = Literal["improved", "degraded", "unchanged", "untested"]
Test = Literal["lm_eval", "pooled", "mcnemar", "paired_z"]
Correction = Literal["holm", "bh", "none"]


class Side(Record):
    """One of the evaluations."""

    label: str
    """Short name, as tables show it."""
    model: str
    """Model, as lm-eval names it."""
    results: str
    """Name of the results file."""
    lm_eval_version: str | None


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
    newly_right: int | None
    """Problems right only after the edit; null where problems are not scored 0 or 1."""
    newly_wrong: int | None
    mcnemar_p: float | None
    """Exact, two-sided."""
    z: float | None
    p: float | None
    """Of the paired z."""
    low: float | None
    """Bootstrap interval of the difference, at 1 - alpha; null where it was not asked for."""
    high: float | None


class Subject(Record):
    """One task, or one group of tasks."""

    task: str
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
    base_interval: tuple[float, float] | None
    """Wilson interval at 1 - alpha; null where problems are not scored 0 or 1."""
    edited_interval: tuple[float, float] | None
    detectable: float | None
    """Smallest true difference that the unpaired z-test finds with probability ``power``."""
    paired: PairedResult | None
    base_measures: Measures
    edited_measures: Measures


class Comparison(Record):
    """One edited model against its base."""

    schema_version: Literal[1] = 1
    base: Side
    edited: Side
    metric: str
    """lm-eval's key: metric, comma, filter."""
    test: Test
    """Where ``z``, ``p`` and so the verdicts come from."""
    correction: Correction
    alpha: float = Field(gt=0, lt=1)
    power: float = Field(gt=0, lt=1)
    draws: int = Field(ge=0)
    """Bootstrap resamples."""
    seed: int = Field(ge=0)
    subjects: tuple[Subject, ...] = Field(min_length=1)
    groups: tuple[Subject, ...]
    """lm-eval's groups whose members are all among the subjects; not counted below."""
    improved: int = Field(ge=0)
    degraded: int = Field(ge=0)
    unchanged: int = Field(ge=0)
    untested: int = Field(ge=0)
    mismatches: tuple[str, ...]
    """In what the runs differ beside the model; empty unless that was explicitly allowed."""
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
