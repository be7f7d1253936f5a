"""A comparison's tables: rows, columns, and how each number is rounded for reading."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import Comparison, Measures, Subject


class Row(NamedTuple):
    """One subject under one edited model."""

    comparison: Comparison
    subject: Subject
    is_group: bool
    percent: bool
    """Whether the scores are shares, to be shown in percent and points."""


def rows_by_subject(comparisons: Sequence[Comparison]) -> Iterator[list[Row]]:
    """All rows of a subject together, subjects before groups, models in their order.

    A subject that only some models have (--allow-mismatch) stands with those.
    """
    for is_group in (False, True):
        found: dict[str, list[Row]] = {}
        for comparison in comparisons:
            percent = is_share(comparison)
            for subject in comparison.groups if is_group else comparison.subjects:
                found.setdefault(subject.task, []).append(Row(comparison, subject, is_group, percent))
        yield from found.values()


def is_share(comparison: Comparison) -> bool:
    """Whether all scores lie between 0 and 1."""
    return all(0 <= value <= 1 for subject in comparison.subjects for value in (subject.base, subject.edited))


CORRECTION_NAMES = {"holm": "Holm", "bh": "BH"}


class Column(NamedTuple):
    """A heading, and what stands under it; an empty cell where there is nothing to show."""

    heading: str
    cell: Callable[[Row], str]


def name_columns(several: bool) -> list[Column]:
    """Which subject, and of which edited model where there are several."""
    columns = [Column("subject", lambda row: row.subject.task)]
    if several:
        columns.append(Column("edited by", lambda row: row.comparison.edited.label))
    return columns


def verdict_columns(correction: str) -> list[Column]:
    """The paper's table, and the corrected p beside the raw one."""
    name = CORRECTION_NAMES.get(correction, "")
    return [
        Column("n", lambda row: "?" if row.subject.n is None else str(row.subject.n)),
        Column("base", lambda row: _score(row.subject.base, row.percent)),
        Column("edited", lambda row: _score(row.subject.edited, row.percent)),
        Column("diff", lambda row: _change(row.subject.delta, row.percent)),
        Column("z", lambda row: _signed(row.subject.z)),
        Column("p", lambda row: _p(row.subject.p)),
        Column(f"p {name}", lambda row: _p(row.subject.p_adjusted) if name else ""),
        Column("verdict", _verdict),
    ]


def detail_columns(level: str) -> list[Column]:
    """How sure each score is, what the test could have seen, and the problems paired."""
    return [
        Column(f"base {level}", lambda row: _range(row.subject.base_interval, row.percent)),
        Column(f"edited {level}", lambda row: _range(row.subject.edited_interval, row.percent)),
        Column("detectable", lambda row: _change(row.subject.detectable, row.percent).lstrip("+")),
        Column("newly right", lambda row: _paired(row, "newly_right", "d")),
        Column("newly wrong", lambda row: _paired(row, "newly_wrong", "d")),
        Column("McNemar p", lambda row: _p(row.subject.paired.mcnemar_p) if row.subject.paired else ""),
        Column("paired z", lambda row: _paired(row, "z", "+.2f")),
        Column(f"diff {level}", _difference_range),
    ]


def answer_columns() -> list[Column]:
    """What is known of the answers beside their score."""
    return [
        Column("math_verify", lambda row: _both(row, "math_verify", ".1%")),
        Column("no answer", lambda row: _both(row, "no_answer", ".1%")),
        Column("cut off", lambda row: _both(row, "cut_off", ".1%")),
        Column("characters", lambda row: _both(row, "mean_characters", ".0f")),
        Column("tokens", lambda row: _both(row, "mean_tokens", ".0f")),
    ]


def _score(value: float | None, percent: bool) -> str:
    if value is None:
        return ""
    return f"{value:.1%}" if percent else f"{value:.4g}"


def _change(value: float | None, percent: bool) -> str:
    if value is None:
        return ""
    return f"{value * 100:+.1f}" if percent else f"{value:+.4g}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return "<0.0001" if p < 0.00005 else f"{p:.4f}"


def _verdict(row: Row) -> str:
    subject, correction = row.subject, CORRECTION_NAMES.get(row.comparison.correction)
    lost = subject.p_adjusted is not None and not subject.holds
    if lost and subject.verdict in ("improved", "degraded"):
        return f"{subject.verdict}, not by {correction}"
    return subject.verdict


def _range(interval: tuple[float, float] | None, percent: bool) -> str:
    if interval is None:
        return ""
    scale, digits = (100, ".1f") if percent else (1, ".4g")
    return f"{interval[0] * scale:{digits}} to {interval[1] * scale:{digits}}"


def _difference_range(row: Row) -> str:
    paired = row.subject.paired
    if paired is None or paired.low is None or paired.high is None:
        return ""
    return f"{_change(paired.low, row.percent)} to {_change(paired.high, row.percent)}"


def _paired(row: Row, field: str, form: str) -> str:
    value = getattr(row.subject.paired, field, None)
    return "" if value is None else format(value, form)


def _both(row: Row, field: str, form: str) -> str:
    sides: tuple[Measures, Measures] = (row.subject.base_measures, row.subject.edited_measures)
    values = [getattr(side, field) for side in sides]
    if values == [None, None]:
        return ""
    return " > ".join("?" if value is None else format(value, form) for value in values)


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
