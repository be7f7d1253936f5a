"""What a comparison can be asked for: the one declaration of the options of ``sae-merge compare``."""

from pathlib import Path

from pydantic import Field

from sae_merge_method.artifacts.comparison import Correction
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.artifacts.subject import Test


class CompareSettings(Record):
    """Settings of one comparison; a string under a field is its option's help."""

    metric: str | None = None
    """Score to compare, as lm_eval writes it: metric, comma, filter (of inspect_ai's logs: metric, comma,
    scorer). The filter may be left out. Default: exact_match,none; of inspect_ai's logs their accuracy."""
    tasks: tuple[str, ...] = ()
    """Only these tasks, or the tasks of these groups: names or patterns like 'mmlu_*', with commas or
    repeated. Default: every task with the metric."""
    test: Test = "auto"
    """Statistical test that the verdicts come from; the paper's z stands beside it."""
    correction: Correction = "holm"
    """Correction over subjects, and over groups; the corrected p stands beside the raw one."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Level of the two-sided test; intervals are at 1 - alpha."""
    margin: float | None = Field(default=None, gt=0)
    """Change that does not matter, in points; of scores that are no shares, in their own unit. A subject
    whose change is shown to be smaller, by two one-sided tests, is called equivalent."""
    max_loss: float | None = Field(default=None, gt=0)
    """Loss that is allowed, in points: exit with 3 unless that over all problems is shown to be smaller
    (non-inferiority, one-sided at alpha), or if a subject's is shown to be larger."""
    draws: int = Field(default=10_000, ge=0)
    """Bootstrap resamples for paired intervals; 0 for none."""
    seed: int = Field(default=0, ge=0)
    """Seed of the bootstrap."""
    tokenizer: Path | None = None
    """Model folder or tokenizer.json, to count tokens and answers cut off at the token limit."""
    allow_mismatch: bool = False
    """Compare runs that differ in more than the model, and mark it."""


POWER = 0.8
"""Probability with which the detectable difference would be found: the field's custom (Cohen 1988)."""
