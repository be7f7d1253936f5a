"""A comparison as tables with what has to be said above and below them, whatever they are drawn in.

One unit a column: whether scores are shown as shares is decided once, for all subjects of all models
together. ``sae-merge compare`` and the model card show the same verdict table.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from sae_merge_method.artifacts.comparison import Comparison, ComparisonSet
from sae_merge_method.artifacts.subject import Subject
from sae_merge_method.reports.grid import Cell, Grid, with_content
from sae_merge_method.reports.notebook import View
from sae_merge_method.statistics.tests import TESTS
from sae_merge_method.statistics.verdicts import NOT_TESTED, VERDICTS
from sae_merge_method.verdict_tables.column import Column, Row, are_points
from sae_merge_method.verdict_tables.columns import COLUMNS, EDITED_BY, SUBJECT, TABLES

Comparisons = Comparison | ComparisonSet


def rows_by_subject(comparisons: Comparisons) -> Iterator[list[Row]]:
    """All rows of a subject together, subjects before groups, models in their order.

    A subject that only some models have (--allow-mismatch) stands with those.
    """
    is_share = _are_shares(comparisons)
    for is_group in (False, True):
        subjects: dict[str, list[Row]] = {}
        for one in comparisons.comparisons:
            for subject in one.groups if is_group else one.subjects:
                subjects.setdefault(subject.task, []).append(Row(one, subject, is_share))
        yield from subjects.values()


def tables(comparisons: Comparisons) -> tuple[Grid, ...]:
    """The verdict, what pairs and intervals add, and the answers; columns without content left out."""
    names = [SUBJECT, *([EDITED_BY] if len(comparisons.comparisons) > 1 else [])]
    rows = [row for subject in rows_by_subject(comparisons) for row in subject]
    grids = []
    for table, title in TABLES.items():
        columns = [column for column in COLUMNS.values() if column.table == table]
        grid = with_content(_grid([*names, *columns], rows, title), keep=len(names))
        if len(grid.header) > len(names):
            grids.append(grid)
    return tuple(grids)


def verdict_table(comparisons: Comparisons) -> Grid:
    """The first of the tables: scores, tests and verdicts."""
    return tables(comparisons)[0]


def unrounded(comparisons: Comparisons) -> Grid:
    """Every field of every column, unrounded: a line a subject and model, groups left out."""
    columns = [EDITED_BY, SUBJECT, *COLUMNS.values()]
    rows = [
        tuple(
            Cell("", value(Row(one, subject, is_share=False)))
            for column in columns
            for value in column.values.values()
        )
        for one in comparisons.comparisons
        for subject in one.subjects
    ]
    return Grid(tuple(name for column in columns for name in column.values), tuple(rows))


def view(comparisons: Comparisons) -> View:
    """What was compared and how, the tables, the counts, and what has to be known beside them."""
    head, tail = _head_lines(comparisons), _tail_lines(comparisons)
    return View(tables(comparisons), head=tuple(head), tail=tuple(tail))


def how_tested(comparison: Comparison) -> str:
    """The tests that verdicts are by, in words, and of how many rows, where there are several."""
    rows = (*comparison.subjects, *comparison.groups)
    counts = Counter(row.test for row in rows if row.p is not None)
    if not counts:
        return f"{TESTS[comparison.test].title}, two-sided"
    of = {
        name: f" ({count} of {len(rows)} rows)" if len(counts) > 1 else "" for name, count in counts.items()
    }
    return f"{' and '.join(TESTS[name].title + of[name] for name in counts)}, two-sided"


def counted(comparison: Comparison) -> str:
    """How many subjects got each verdict, in words; the rare ones only where there are any."""
    counts = {verdict: comparison.counts.get(verdict, 0) for verdict in VERDICTS}
    shown = (name for name, verdict in VERDICTS.items() if counts[name] or verdict.is_common)
    return ", ".join(f"{counts[name]} {name}" for name in shown)


def _are_shares(comparisons: Comparisons) -> bool:
    return are_points(row for one in comparisons.comparisons for row in (*one.subjects, *one.groups))


def _grid(columns: Sequence[Column], rows: Sequence[Row], title: str) -> Grid:
    first = rows[0]
    level = f"{100 * (1 - first.comparison.alpha):g}%"
    headings = [column.heading.format(level=level, correction=first.correction) for column in columns]
    return Grid(
        tuple(headings),
        tuple(tuple(column.cell(row) for column in columns) for row in rows),
        words=frozenset(
            heading for heading, column in zip(headings, columns, strict=True) if column.is_words
        ),
        title=title,
    )


def _head_lines(comparisons: Comparisons) -> Iterator[str]:
    several = len(comparisons.comparisons) > 1
    first = comparisons.comparisons[0]
    yield f"base: {first.base.model}"
    for one in comparisons.comparisons:
        yield f"edited: {one.edited.model}" + (f" ({one.edited.label})" if several else "")
    yield f"metric: {first.metric}; {how_tested(first)}, alpha {first.alpha:g}"
    for one in comparisons.comparisons:
        name = f"{one.edited.label}: " if several else ""
        yield from (f"MISMATCH, allowed: {name}{line}" for line in one.mismatches)
        yield from (f"MARKED, may move a score: {name}{line}" for line in one.marks)


def _tail_lines(comparisons: Comparisons) -> Iterator[str]:
    for one in comparisons.comparisons:
        name = f"{one.edited.label}: " if len(comparisons.comparisons) > 1 else ""
        yield name + counted(one)
        subjects: tuple[Subject, ...] = (*one.subjects, *one.groups)
        yield from (f"{name}{row.task}: {NOT_TESTED}, {row.reason}" for row in subjects if row.reason)
        yield from (f"Note: {name}{note}" for note in one.notes)
