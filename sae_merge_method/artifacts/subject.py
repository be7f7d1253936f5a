"""One subject of a comparison: two scores, what a test says of them, what both models answered.

Numbers are unrounded, and null where there is none. Shares and scores are as lm-eval counts them, from 0 to
1; a z or difference above 0 means that the edited model scored higher. The file they stand in is
:mod:`~sae_merge_method.artifacts.comparison`'s.
"""

from typing import Annotated

from pydantic import Field

from sae_merge_method.artifacts.lm_eval_results import DataSet
from sae_merge_method.artifacts.schema import OneOf, Record
from sae_merge_method.statistics.tests import TESTS
from sae_merge_method.statistics.verdicts import VERDICTS

Verdict = Annotated[str, OneOf(VERDICTS)]
Test = Annotated[str, OneOf(TESTS)]


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
    """Answers of both models that were paired: one a problem, or as many as each problem has."""
    problems: int = Field(ge=1)
    """Problems among them: fewer than ``n`` where a problem has several answers, which move together."""
    newly_right: int | None
    """Problems right only after the edit; null where problems are not scored 0 or 1."""
    newly_wrong: int | None
    """Problems right only before the edit; null where problems are not scored 0 or 1."""
    mcnemar_p: float | None
    """Exact two-sided p of McNemar's test on the problems that flipped; null where problems are not scored 0
    or 1."""
    z: float | None
    """Mean difference of the paired problems over its standard error, clustered by problem; null where every
    problem changed alike."""
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
    test: Test
    """Test that ``z``, ``p``, ``interval``, ``detectable`` and the verdict are by: that of the comparison, or
    the one that fits here where the comparison says "auto"."""
    z: float | None
    """Statistic of ``test``; null where there is no test, and for tests that have only a p."""
    p: float | None
    """Two-sided p of ``test``, uncorrected; null where there is no test."""
    p_adjusted: float | None
    """``p`` corrected for the number of subjects, of a group for the number of groups; null where there is no
    p."""
    paper_z: float | None
    """The paper's z (arXiv 2605.28649), whatever the verdict is by: the difference over lm-eval's standard
    errors, unpaired; null where lm-eval wrote none, or both are 0."""
    paper_p: float | None
    """Two-sided p of the paper's z; null where there is no such z."""
    interval: tuple[float, float] | None
    """Interval of the difference, edited minus base, by ``test``, at 1 - alpha; null where it has none."""
    verdict: Verdict
    """What ``p`` says at level alpha; "not tested" where there is no p, for the reason given."""
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
    """Smallest true difference that ``test`` finds at alpha with probability ``Comparison.power``; null where
    that cannot be told."""
    paired: PairedResult | None
    """What the same problems, paired, say; null where they could not be paired."""
    base_measures: Measures
    """What else is known of the base model's answers."""
    edited_measures: Measures
    """What else is known of the edited model's answers."""
    dataset: DataSet | None = None
    """Where the edited model's problems come from; null for groups, and where the results file does not
    say."""
