"""A comparison as text: table, Markdown, CSV or JSON. Rounds for reading, computes nothing."""

import csv
import io
from collections.abc import Callable, Sequence

from sae_merge_method.artifacts.comparison import Comparison, Subject
from sae_merge_method.files import canonical_json

HEADER = ("subject", "n", "base", "edited", "diff", "z", "p", "verdict")
_CSV_FIELDS = ("task", "n", "base", "edited", "delta", "z", "p", "verdict", "reason")


def render_table(comparison: Comparison) -> str:
    """Columns of plain text, for a terminal."""
    rows = [HEADER, *_rows(comparison)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    # Names and verdicts stand left, numbers right.
    aligned = [
        "  ".join(
            cell.ljust(width) if i in (0, len(HEADER) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*_head(comparison), "", *aligned, "", *_tail(comparison), ""])


def render_markdown(comparison: Comparison) -> str:
    """A table as GitHub and the Hub show it."""
    rule = ["---", *["---:"] * (len(HEADER) - 2), "---"]
    rows = [HEADER, rule, *_rows(comparison)]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    head = [f"- {line}" for line in _head(comparison)]
    return "\n\n".join(["\n".join(head), "\n".join(table), *_tail(comparison)]) + "\n"


def render_csv(comparison: Comparison) -> str:
    """One line a subject, unrounded, for spreadsheets and scripts."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV_FIELDS)
    for subject in comparison.subjects:
        writer.writerow([getattr(subject, field) for field in _CSV_FIELDS])
    return out.getvalue()


def render_json(comparison: Comparison) -> str:
    """The artifact itself."""
    return canonical_json(comparison.model_dump(mode="json"))


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "table": render_table,
    "json": render_json,
    "markdown": render_markdown,
    "csv": render_csv,
}


def _rows(comparison: Comparison) -> list[Sequence[str]]:
    percent = all(0 <= value <= 1 for row in comparison.subjects for value in (row.base, row.edited))
    return [_row(subject, percent) for subject in comparison.subjects]


def _row(subject: Subject, percent: bool) -> Sequence[str]:
    if percent:
        scores = (f"{subject.base:.1%}", f"{subject.edited:.1%}", f"{subject.delta * 100:+.1f}")
    else:
        scores = (f"{subject.base:.4g}", f"{subject.edited:.4g}", f"{subject.delta:+.4g}")
    count = "?" if subject.n is None else str(subject.n)
    z = "" if subject.z is None else f"{subject.z:+.2f}"
    return (subject.task, count, *scores, z, _p(subject.p), subject.verdict)


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return "<0.0001" if p < 0.00005 else f"{p:.4f}"


def _head(comparison: Comparison) -> list[str]:
    return [
        f"base: {comparison.base.model}",
        f"edited: {comparison.edited.model}",
        f"metric: {comparison.metric}; z-test with lm-eval's standard errors, unpooled, two-sided, "
        f"alpha {comparison.alpha:g}",
    ]


def _tail(comparison: Comparison) -> list[str]:
    counts = [f"{getattr(comparison, word)} {word}" for word in ("improved", "degraded", "unchanged")]
    if comparison.untested:
        counts.append(f"{comparison.untested} untested")
    reasons = [f"{row.task}: untested, {row.reason}" for row in comparison.subjects if row.reason]
    return [", ".join(counts), *reasons, *(f"Note: {note}" for note in comparison.notes)]
