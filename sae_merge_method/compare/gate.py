"""Whether an edit did damage: all problems together and each subject, seen from the side of losses.

A loss that is shown stops, and so does what could not be tested: that a test is missing is no sign of
health. All problems together find a small loss that is everywhere, which no subject has problems enough to
show; a subject by itself finds what hits it alone. A subject stops where the tables call it degraded after
correction, which takes half of alpha, since only losses count. All problems together are tested one-sided at
two thirds of alpha. For both, an edit that changes nothing would be stopped in at most 7/6 of alpha
(Bonferroni); they hang together, and counts are whole, so that with the subjects of MATH it is less than
alpha, and a loss of two points in every subject is stopped in nine of ten cases or more
(``benchmarks/calibration.py --only gate``). With half of alpha for all problems together the bound would be
alpha, and one such loss in nine would pass.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import Comparison, Gate
from sae_merge_method.artifacts.subject import Subject
from sae_merge_method.compare.groups import OPPOSITE, Together
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.reports.numbers import amount, p_value
from sae_merge_method.statistics.evidence import Evidence
from sae_merge_method.statistics.tests import TESTS
from sae_merge_method.statistics.verdicts import DEGRADED, IMPROVED, NOT_TESTED
from sae_merge_method.verdict_tables.column import are_points


class _Losses(NamedTuple):
    """How large a loss may be, at a one-sided level; below 0 it is a gain."""

    least: float
    most: float


def gate(
    subjects: Sequence[Subject],
    groups: Sequence[Subject],
    whole: Together | None,
    evidence: Mapping[str, Evidence],
    settings: CompareSettings,
    unit: float,
) -> Gate:
    """What stands against the edit.

    Args:
        subjects: After correction.
        groups: After correction.
        whole: All problems together; None where their number is not known, or metrics run in both directions.
        evidence: What each subject was tested on.
        settings: What was asked for.
        unit: What a point is, of the score.
    """
    share = _is_share(unit)
    together = groups or (subjects if len(subjects) == 1 else ())
    regressions = [
        *_untested_whole(whole, subjects),
        *(line for row in together if (line := _loss_together(row, settings.alpha, share))),
        *(line for row in subjects if row not in together and (line := _loss(row, share))),
    ]
    max_loss = None if settings.max_loss is None else settings.max_loss * unit
    excesses: list[str] = []
    if max_loss is not None:
        excesses = [
            *_untested_whole(whole, subjects),
            *_whole_excess(whole, max_loss, settings, unit),
            *_subject_excesses(subjects, evidence, max_loss, settings, unit),
        ]
    return Gate(
        whole=None if whole is None else whole.subject.task,
        max_loss=max_loss,
        regressions=tuple(regressions),
        excesses=tuple(excesses),
    )


def why_stopped(comparisons: Iterable[Comparison], *, on_regression: bool) -> list[str]:
    """What stands against the edited models, a line each; empty where nothing does.

    Args:
        comparisons: One an edited model.
        on_regression: Whether losses that are shown count, and what could not be tested; a loss that is
            allowed at most counts wherever one was asked for.
    """
    lines = {
        f"{one.edited.label}: {line}": None
        for one in comparisons
        for line in (*(one.gate.regressions if on_regression else ()), *one.gate.excesses)
    }
    return list(lines)


def why_not_improved(comparisons: Iterable[Comparison]) -> list[str]:
    """A line for each edited model of which neither a subject nor a group is shown to be better."""
    lines = []
    for one in comparisons:
        rows = [row for row in (*one.subjects, *one.groups) if row.p is not None]
        if any(row.verdict == IMPROVED and row.holds for row in rows):
            continue
        risen = [row for row in rows if row.delta and (row.delta > 0) == row.higher_is_better]
        nearest = min(risen, key=lambda row: row.p_adjusted or 0.0, default=None)
        closest = "" if nearest is None else f"; the nearest is {_change(nearest, are_points(one.subjects))}"
        lines.append(f"{one.edited.label}: nothing is shown to be better after correction{closest}")
    return lines


def _untested_whole(whole: Together | None, subjects: Sequence[Subject]) -> list[str]:
    if whole is not None:
        return []
    why = "lm_eval does not say how many problems each subject has"
    if len({row.higher_is_better for row in subjects}) > 1:
        why = OPPOSITE
    return [f"all problems together: {NOT_TESTED}, {why}"]


_SHARE_OF_ALPHA = 2 / 3
"""What all problems together take of alpha, one-sided."""


def _loss_together(row: Subject, alpha: float, share: bool) -> str | None:
    """Why a group stops, or a subject that is alone."""
    if row.p_adjusted is None:
        return _untested(row)
    one_sided, level = row.p_adjusted / 2, _SHARE_OF_ALPHA * alpha
    is_loss = row.delta != 0 and (row.delta < 0) == row.higher_is_better
    if not is_loss or one_sided >= level:
        return None
    return f"{_change(row, share)}: one-sided {p_value(one_sided)}, below {p_value(level)}"


def _loss(row: Subject, share: bool) -> str | None:
    """Why a subject stops, beside others."""
    if row.verdict == NOT_TESTED:
        return _untested(row)
    return _change(row, share) if row.verdict == DEGRADED and row.holds else None


def _untested(row: Subject) -> str:
    return f"{row.task}: {NOT_TESTED}, {row.reason}"


def _whole_excess(
    whole: Together | None, max_loss: float, settings: CompareSettings, unit: float
) -> Iterator[str]:
    """Non-inferiority of the whole, one-sided at alpha."""
    if whole is None:
        return
    task, share = whole.subject.task, _is_share(unit)
    losses = _losses(whole.subject, whole.evidence, settings.alpha)
    if losses is None:
        yield f"{task}: no interval of the difference, {whole.subject.reason or 'every problem moved alike'}"
    elif losses.most >= max_loss:
        yield (
            f"{task}: a loss of {_size(losses.most, share)} is not ruled out, {_size(max_loss, share)} is "
            f"allowed (one-sided at {settings.alpha:g}; {TESTS[whole.subject.test].title})"
        )


def _subject_excesses(
    subjects: Sequence[Subject],
    evidence: Mapping[str, Evidence],
    max_loss: float,
    settings: CompareSettings,
    unit: float,
) -> Iterator[str]:
    """Subjects that are shown to have lost more, corrected by Bonferroni, and those that were not tested."""
    for subject in subjects:
        if subject.verdict == NOT_TESTED:
            yield _untested(subject)
            continue
        losses = _losses(subject, evidence[subject.task], settings.alpha / len(subjects))
        if losses is not None and losses.least > max_loss:
            share = _is_share(unit)
            yield (
                f"{subject.task}: a loss of at least {_size(losses.least, share)} is shown, "
                f"{_size(max_loss, share)} is allowed"
            )


def _change(row: Subject, share: bool) -> str:
    corrected = "" if row.p == row.p_adjusted else f", {p_value(row.p_adjusted)} after correction"
    return f"{row.task}: {amount(row.delta, share)}, p {p_value(row.p)}{corrected} ({TESTS[row.test].title})"


def _losses(subject: Subject, evidence: Evidence, alpha: float) -> _Losses | None:
    """The interval of the loss whose ends are each one-sided at alpha."""
    interval = TESTS[subject.test].interval(evidence, 1 - 2 * alpha)
    if interval is None:
        return None
    if subject.higher_is_better:
        return _Losses(-interval.high, -interval.low)
    return _Losses(interval.low, interval.high)


def _is_share(unit: float) -> bool:
    return unit != 1


def _size(loss: float, share: bool) -> str:
    return amount(loss, share).lstrip("+")
