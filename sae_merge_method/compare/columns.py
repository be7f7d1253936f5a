"""The columns of a comparison's tables: one row a column, read by every form in which a comparison is shown.

To show something more of a subject: one row in :data:`COLUMNS`. How subjects are ordered and what stands
around the tables is ``table``'s affair.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.subject import Subject
from sae_merge_method.reports.grid import Cell
from sae_merge_method.reports.numbers import change, interval, p_value, score, score_interval, signed
from sae_merge_method.statistics.multiplicity import CORRECTIONS
from sae_merge_method.statistics.tests import PAPER
from sae_merge_method.statistics.verdicts import VERDICTS


class Row(NamedTuple):
    """One subject under one edited model."""

    comparison: Comparison
    subject: Subject
    is_group: bool
    is_share: bool
    """Whether scores are shown in percent and points: the same for every row of a table."""

    @property
    def stands(self) -> bool:
        """Whether the score changed, after correction."""
        return self.subject.holds

    @property
    def correction(self) -> str:
        """What the correction is called; empty for none."""
        return CORRECTIONS[self.comparison.correction].label


TABLES = {
    "verdict": "",
    "detail": "Intervals, and the same problems paired",
    "answers": "Answers, base > edited",
}
"""By name, what stands above each table; nothing above the verdict itself."""

Value = float | str | None


class Column(NamedTuple):
    """What a table shows of a subject, and what CSV holds of it."""

    name: str
    heading: str
    """Above the column; ``{level}`` and ``{correction}`` become those of the comparison."""
    table: str | None
    """Which of :data:`TABLES` it is in; None for CSV alone."""
    text: Callable[[Row], str]
    """As it is read; empty where there is nothing to show."""
    values: Mapping[str, Callable[[Row], Value]]
    """For CSV, unrounded, by the name of the field."""
    is_words: bool = False
    """Words stand left, numbers right."""
    is_strong: Callable[[Row], bool] = lambda row: False
    """Whether a cell stands out."""

    def cell(self, row: Row) -> Cell:
        """The cell of a row, with its number where it shows one number."""
        values = [value(row) for value in self.values.values()]
        return Cell(self.text(row), values[0] if len(values) == 1 else None, self.is_strong(row))


def _of_subject(name: str) -> Callable[[Row], Any]:
    return lambda row: getattr(row.subject, name)


def _of_pairs(name: str) -> Callable[[Row], Any]:
    return lambda row: getattr(row.subject.paired, name, None)


def _csv_alone(name: str) -> Column:
    return Column(name, name, None, lambda row: "", {name: _of_subject(name)})


def _number(name: str, heading: str, table: str, text: Callable[[Any], str]) -> Column:
    """A number of the subject, whose text needs nothing else of the row."""
    return _column(name, heading, table, _of_subject(name), lambda row, number: text(number))


def _scored(name: str, heading: str, table: str, text: Callable[[Any, bool], str]) -> Column:
    """A number of the subject in the score's unit."""
    return _column(name, heading, table, _of_subject(name), lambda row, number: text(number, row.is_share))


def _paired(name: str, heading: str, number: str, text: Callable[[Any], str]) -> Column:
    """A number of the pairs."""
    return _column(name, heading, "detail", _of_pairs(number), lambda row, paired: text(paired))


def _column(
    name: str, heading: str, table: str, number: Callable[[Row], Any], text: Callable[[Row, Any], str]
) -> Column:
    return Column(name, heading, table, lambda row: text(row, number(row)), {name: number})


def _wilson(side: str) -> Column:
    """The interval of a side, "base" or "edited"."""
    ends = _of_subject(f"{side}_interval")
    return Column(
        f"{side}_interval",
        f"{side} {{level}}",
        "detail",
        lambda row: score_interval(ends(row)[0], ends(row)[1], row.is_share) if ends(row) else "",
        {
            f"{side}_low": lambda row: ends(row)[0] if ends(row) else None,
            f"{side}_high": lambda row: ends(row)[1] if ends(row) else None,
        },
    )


def _both_sides(name: str, heading: str, form: str) -> Column:
    """What is known of the answers before and after."""

    def measure(side: str) -> Callable[[Row], Any]:
        return lambda row: getattr(getattr(row.subject, f"{side}_measures"), name)

    before, after = measure("base"), measure("edited")

    def text(row: Row) -> str:
        measured = (before(row), after(row))
        if measured == (None, None):
            return ""
        return " > ".join("?" if number is None else format(number, form) for number in measured)

    return Column(name, heading, "answers", text, {f"base_{name}": before, f"edited_{name}": after})


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


def _count(number: int | None) -> str:
    return "" if number is None else str(number)


SUBJECT = Column(
    "task", "subject", None, lambda row: row.subject.task, {"task": _of_subject("task")}, is_words=True
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
        _number("n", "n", "verdict", lambda n: _count(n) or "?"),
        _scored("base", "base", "verdict", score),
        _scored("edited", "edited", "verdict", score),
        _scored("delta", "diff", "verdict", change),
        _number("paper_z", "paper's z", "verdict", signed),
        _number("paper_p", "paper's p", "verdict", p_value),
        Column("p", "p", "verdict", _p, {"p": _of_subject("p")}),
        Column(
            "p_adjusted",
            "p {correction}",
            "verdict",
            lambda row: p_value(row.subject.p_adjusted) if row.correction else "",
            {"p_adjusted": _of_subject("p_adjusted")},
        ),
        Column(
            "verdict",
            "verdict",
            "verdict",
            _verdict,
            {"verdict": _of_subject("verdict")},
            is_words=True,
            is_strong=lambda row: row.stands,
        ),
        Column(
            "test",
            "test",
            "detail",
            lambda row: "" if row.subject.p is None else row.subject.test,
            {"test": _of_subject("test")},
            is_words=True,
        ),
        _csv_alone("z"),
        _csv_alone("holds"),
        _csv_alone("reason"),
        _csv_alone("base_stderr"),
        _csv_alone("edited_stderr"),
        _wilson("base"),
        _wilson("edited"),
        _scored("detectable", "detectable", "detail", lambda size, share: change(size, share).lstrip("+")),
        _paired("newly_right", "newly right", "newly_right", _count),
        _paired("newly_wrong", "newly wrong", "newly_wrong", _count),
        _paired("mcnemar_p", "McNemar p", "mcnemar_p", p_value),
        _paired("paired_z", "paired z", "z", signed),
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
            {"low": _of_pairs("low"), "high": _of_pairs("high")},
        ),
        _both_sides("math_verify", "math_verify", ".1%"),
        _both_sides("no_answer", "no answer", ".1%"),
        _both_sides("cut_off", "cut off", ".1%"),
        _both_sides("mean_characters", "characters", ".0f"),
        _both_sides("mean_tokens", "tokens", ".0f"),
    )
}
