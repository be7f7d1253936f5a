"""The columns of a comparison's tables: how each number of a row is rounded for reading."""

from collections.abc import Callable
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import Measures
from sae_merge_method.compare.rows import Row

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
