"""Comparisons as lines and tables of short strings; how a table is drawn is left to others."""

from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.compare.columns import (
    Column,
    answer_columns,
    detail_columns,
    name_columns,
    verdict_columns,
)
from sae_merge_method.compare.rows import Row, rows_by_subject

_TESTS = {
    "lm_eval": "z-test with lm-eval's standard errors, unpooled",
    "pooled": "pooled two-proportion z-test",
    "mcnemar": "exact McNemar test, paired by problem",
    "paired_z": "z-test of differences paired by problem",
}
_WORDS = ("improved", "degraded", "unchanged", "untested")


class Table(NamedTuple):
    """A header and rows of as many cells."""

    title: str
    """Empty for the verdict itself."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def head_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """What was compared, and how."""
    first = comparisons[0]
    lines = [f"base: {first.base.model}"]
    for one in comparisons:
        label = f" ({one.edited.label})" if len(comparisons) > 1 else ""
        lines.append(f"edited: {one.edited.model}{label}")
    lines.append(f"metric: {first.metric}; {_TESTS[first.test]}, two-sided, alpha {first.alpha:g}")
    for one in comparisons:
        lines += [f"MISMATCH, allowed: {line}" for line in one.mismatches]
    return lines


def tail_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """The counts, and what has to be known beside them."""
    lines = []
    for one in comparisons:
        name = f"{one.edited.label}: " if len(comparisons) > 1 else ""
        words = _WORDS if one.untested else _WORDS[:3]
        lines.append(name + ", ".join(f"{getattr(one, word)} {word}" for word in words))
        reasons = [row for row in (*one.subjects, *one.groups) if row.reason]
        lines += [f"{name}{row.task}: untested, {row.reason}" for row in reasons]
        lines += [f"Note: {name}{note}" for note in one.notes]
    return lines


def tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """The verdict, what pairs and intervals add, and the answers; columns without content left out."""
    rows = [row for subject in rows_by_subject(comparisons) for row in subject]
    first = comparisons[0]
    names = name_columns(several=len(comparisons) > 1)
    level = f"{100 * (1 - first.alpha):g}%"
    found = (
        _table("", names, verdict_columns(first.correction), rows),
        _table("Intervals, and the same problems paired", names, detail_columns(level), rows),
        _table("Answers, base > edited", names, answer_columns(), rows),
    )
    return [table for table in found if len(table.header) > len(names)]


def _table(title: str, names: list[Column], columns: list[Column], rows: list[Row]) -> Table:
    shown = [*names, *(column for column in columns if any(map(column.cell, rows)))]
    cells = tuple(tuple(column.cell(row) for column in shown) for row in rows)
    return Table(title, tuple(column.heading for column in shown), cells)
