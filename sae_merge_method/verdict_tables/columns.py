"""The columns of a comparison's tables: one row a column, read by every form in which a comparison is shown.

To show something more of a subject: one row in :data:`COLUMNS`. How subjects are ordered and what stands
around the tables is the affair of ``tables``.
"""

from collections.abc import Callable

from sae_merge_method.reports.numbers import change, interval, p_value, score, signed
from sae_merge_method.statistics.tests import PAPER
from sae_merge_method.statistics.verdicts import VERDICTS
from sae_merge_method.verdict_tables.column import (
    Column,
    Row,
    Value,
    csv_alone,
    interval_of_side,
    number_of_pairs,
    number_of_subject,
    of_both_sides,
    of_pairs,
    of_subject,
    score_of_subject,
)

TABLES = {
    "verdict": "",
    "detail": "Intervals, and the same problems paired",
    "answers": "Answers, base > edited",
}
"""By name, what stands above each table; nothing above the verdict itself."""


def _verdict(row: Row) -> str:
    subject = row.subject
    lost = subject.p_adjusted is not None and not subject.holds
    if lost and VERDICTS[subject.verdict].is_change:
        return f"{subject.verdict}, not by {row.correction}"
    return subject.verdict


def _p(row: Row) -> str:
    """The p of the verdict; empty where all verdicts are by the paper's, which stands beside it."""
    rows = (*row.comparison.subjects, *row.comparison.groups)
    return "" if all(one.test == PAPER for one in rows) else p_value(row.subject.p)


def _difference(row: Row) -> str:
    ends = row.subject.interval
    return "" if ends is None else interval(ends[0], ends[1], row.is_share)


def _end(nth: int) -> Callable[[Row], Value]:
    return lambda row: None if row.subject.interval is None else row.subject.interval[nth]


def _paired_interval(row: Row) -> str:
    paired = row.subject.paired
    if paired is None or paired.low is None or paired.high is None:
        return ""
    return interval(paired.low, paired.high, row.is_share)


def _size(difference: float | None, share: bool) -> str:
    return change(difference, share).lstrip("+")


def _count(number: int | None) -> str:
    return "" if number is None else str(number)


SUBJECT = Column(
    "task", "subject", None, lambda row: row.subject.task, {"task": of_subject("task")}, is_words=True
)
EDITED_BY = Column(
    "model",
    "edited by",
    None,
    lambda row: row.comparison.edited.label,
    {"model": lambda row: row.comparison.edited.label},
    is_words=True,
)

COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        number_of_subject("n", "n", "verdict", lambda n: _count(n) or "?"),
        score_of_subject("base", "base", "verdict", score),
        score_of_subject("edited", "edited", "verdict", score),
        score_of_subject("delta", "diff", "verdict", change),
        number_of_subject("paper_z", "paper's z", "verdict", signed),
        number_of_subject("paper_p", "paper's p", "verdict", p_value),
        Column("p", "p", "verdict", _p, {"p": of_subject("p")}),
        Column(
            "p_adjusted",
            "p {correction}",
            "verdict",
            lambda row: p_value(row.subject.p_adjusted) if row.correction else "",
            {"p_adjusted": of_subject("p_adjusted")},
        ),
        Column(
            "verdict",
            "verdict",
            "verdict",
            _verdict,
            {"verdict": of_subject("verdict")},
            is_words=True,
            is_strong=lambda row: row.stands,
        ),
        Column(
            "test",
            "test",
            "detail",
            lambda row: "" if row.subject.p is None else row.subject.test,
            {"test": of_subject("test")},
            is_words=True,
        ),
        csv_alone("z"),
        csv_alone("holds"),
        csv_alone("reason"),
        csv_alone("base_stderr"),
        csv_alone("edited_stderr"),
        interval_of_side("base"),
        interval_of_side("edited"),
        score_of_subject("detectable", "detectable", "detail", _size),
        number_of_pairs("newly_right", "newly right", "newly_right", _count),
        number_of_pairs("newly_wrong", "newly wrong", "newly_wrong", _count),
        number_of_pairs("mcnemar_p", "McNemar p", "mcnemar_p", p_value),
        number_of_pairs("paired_z", "paired z", "z", signed),
        Column(
            "interval",
            "diff {level}",
            "detail",
            _difference,
            {"interval_low": _end(0), "interval_high": _end(1)},
        ),
        Column(
            "paired_interval",
            "bootstrap {level}",
            "detail",
            _paired_interval,
            {"low": of_pairs("low"), "high": of_pairs("high")},
        ),
        of_both_sides("math_verify", "math_verify", ".1%"),
        of_both_sides("no_answer", "no answer", ".1%"),
        of_both_sides("cut_off", "cut off", ".1%"),
        of_both_sides("mean_characters", "characters", ".0f"),
        of_both_sides("mean_tokens", "tokens", ".0f"),
    )
}
