"""A comparison as tables of short strings. Rounds for reading; how a table is drawn is left to others."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import Comparison, Measures
from sae_merge_method.compare.rows import Row, rows_by_subject

_TESTS = {
    "lm_eval": "z-test with lm-eval's standard errors, unpooled",
    "pooled": "pooled two-proportion z-test",
    "mcnemar": "exact McNemar test, paired by problem",
    "paired_z": "z-test of differences paired by problem",
}
_CORRECTIONS = {"holm": "Holm", "bh": "BH"}
_WORDS = ("improved", "degraded", "unchanged", "untested")


class Table(NamedTuple):
    """A header and rows of as many cells. The first column is text, so may be the last."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


_Column = tuple[str, Callable[[Row], str]]


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
    """The verdict, what the samples add, and what is known beside the score; empty ones left out."""
    rows = [row for subject in rows_by_subject(comparisons) for row in subject]
    first = comparisons[0]
    correction = _CORRECTIONS.get(first.correction, "")
    level = f"{1 - first.alpha:.0%}"
    names: list[_Column] = [("subject", lambda row: row.subject.task)]
    if len(comparisons) > 1:
        names.append(("edited by", lambda row: row.comparison.edited.label))
    verdict: list[_Column] = [
        ("n", lambda row: "?" if row.subject.n is None else str(row.subject.n)),
        ("base", lambda row: _score(row.subject.base, row.percent)),
        ("edited", lambda row: _score(row.subject.edited, row.percent)),
        ("diff", lambda row: _change(row.subject.delta, row.percent)),
        ("z", lambda row: _signed(row.subject.z)),
        ("p", lambda row: _p(row.subject.p)),
        (f"p {correction}", lambda row: _p(row.subject.p_adjusted) if correction else ""),
        ("verdict", _verdict),
    ]
    detail: list[_Column] = [
        (f"base {level}", lambda row: _range(row.subject.base_interval, row.percent)),
        (f"edited {level}", lambda row: _range(row.subject.edited_interval, row.percent)),
        ("detectable", lambda row: _change(row.subject.detectable, row.percent).lstrip("+")),
        ("newly right", lambda row: _paired(row, "newly_right", "+d")),
        ("newly wrong", lambda row: _paired(row, "newly_wrong", "d")),
        ("McNemar p", lambda row: _p(row.subject.paired.mcnemar_p) if row.subject.paired else ""),
        ("paired z", lambda row: _paired(row, "z", "+.2f")),
        (f"diff {level}", _difference_range),
    ]
    answers: list[_Column] = [
        ("math_verify", lambda row: _both(row, "math_verify", ".1%")),
        ("no answer", lambda row: _both(row, "no_answer", ".1%")),
        ("cut off", lambda row: _both(row, "cut_off", ".1%")),
        ("characters", lambda row: _both(row, "mean_characters", ".0f")),
        ("tokens", lambda row: _both(row, "mean_tokens", ".0f")),
    ]
    found = (
        _table("verdict", names, verdict, rows),
        _table("intervals and pairs", names, detail, rows),
        _table("answers, base > edited", names, answers, rows),
    )
    return [table for table in found if len(table.header) > len(names)]


def _table(title: str, names: list[_Column], columns: list[_Column], rows: list[Row]) -> Table:
    """Cells of all columns that have something to show."""
    kept = [column for column in columns if any(column[1](row) for row in rows)]
    shown = [*names, *kept]
    cells = tuple(tuple(cell(row) for _, cell in shown) for row in rows)
    return Table(title, tuple(name for name, _ in shown), cells)


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
    subject, correction = row.subject, _CORRECTIONS.get(row.comparison.correction)
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
