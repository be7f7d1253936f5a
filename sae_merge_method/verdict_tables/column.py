"""What a column of a comparison's tables is, and makers of the kinds that are frequent.

A column reads a :class:`Row` and nothing else. Which columns there are is the affair of ``columns``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.subject import Subject
from sae_merge_method.reports.grid import Cell
from sae_merge_method.reports.numbers import are_shares, score_interval
from sae_merge_method.statistics.multiplicity import CORRECTIONS


def are_points(subjects: Iterable[Subject]) -> bool:
    """Whether scores are shares, shown in percent and points: what should fall is a loss, even below 1."""
    rows = list(subjects)
    return all(row.higher_is_better for row in rows) and are_shares(
        score for row in rows for score in (row.base, row.edited)
    )


class Row(NamedTuple):
    """One subject under one edited model."""

    comparison: Comparison
    subject: Subject
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


Value = float | str | None


class Column(NamedTuple):
    """What a table shows of a subject, and what CSV holds of it."""

    name: str
    heading: str
    """Above the column; ``{level}`` and ``{correction}`` become those of the comparison."""
    table: str | None
    """Which of ``columns.TABLES`` it is in; None for CSV alone."""
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


def of_subject(name: str) -> Callable[[Row], Any]:
    """A field of the subject."""
    return lambda row: getattr(row.subject, name)


def of_pairs(name: str) -> Callable[[Row], Any]:
    """A field of what the pairs say; None where there are none."""
    return lambda row: getattr(row.subject.paired, name, None)


def csv_alone(name: str) -> Column:
    """A field of the subject that no table has room for."""
    return Column(name, name, None, lambda row: "", {name: of_subject(name)})


def number_of_subject(name: str, heading: str, table: str, text: Callable[[Any], str]) -> Column:
    """A number of the subject, whose text needs nothing else of the row."""
    return _column(name, heading, table, of_subject(name), lambda row, number: text(number))


def score_of_subject(name: str, heading: str, table: str, text: Callable[[Any, bool], str]) -> Column:
    """A number of the subject in the score's unit."""
    return _column(name, heading, table, of_subject(name), lambda row, number: text(number, row.is_share))


def number_of_pairs(name: str, heading: str, number: str, text: Callable[[Any], str]) -> Column:
    """A number of the pairs."""
    return _column(name, heading, "detail", of_pairs(number), lambda row, paired: text(paired))


def _column(
    name: str, heading: str, table: str, number: Callable[[Row], Any], text: Callable[[Row, Any], str]
) -> Column:
    return Column(name, heading, table, lambda row: text(row, number(row)), {name: number})


def interval_of_side(side: str) -> Column:
    """The interval of a side, "base" or "edited"."""
    ends = of_subject(f"{side}_interval")
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


def of_both_sides(name: str, heading: str, form: str) -> Column:
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
