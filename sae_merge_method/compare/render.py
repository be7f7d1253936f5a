"""Comparisons as text: terminal table, JSON, Markdown, CSV, LaTeX."""

import csv
import io
from collections.abc import Callable, Sequence

from sae_merge_method.artifacts.comparison import Comparison, ComparisonSet
from sae_merge_method.compare.table import Table, head_lines, tables, tail_lines
from sae_merge_method.files.writing import canonical_json

Comparisons = Sequence[Comparison]

_CSV_FIELDS = (
    "task", "n", "base", "edited", "delta", "z", "p", "p_adjusted", "verdict", "holds", "reason",
    "base_stderr", "edited_stderr", "detectable",
)  # fmt: skip
_CSV_PAIRED = ("newly_right", "newly_wrong", "mcnemar_p", "low", "high")
_LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"} | {"~": r"\~{}", "^": r"\^{}", "\\": r"\textbackslash{}"}
)


def render_table(comparisons: Comparisons) -> str:
    """Columns of plain text, for a terminal."""
    blocks = ["\n".join(head_lines(comparisons))]
    for table in tables(comparisons):
        blocks.append("\n".join([*([table.title] if table.title else []), *_aligned(table)]))
    return "\n\n".join([*blocks, "\n".join(tail_lines(comparisons))]) + "\n"


def render_markdown(comparisons: Comparisons) -> str:
    """Tables as GitHub and the Hub show them."""
    blocks = ["\n".join(f"- {line}" for line in head_lines(comparisons))]
    for table in tables(comparisons):
        if table.title:
            blocks.append(f"**{table.title}**")
        rule = ["---" if _is_text(name) else "---:" for name in table.header]
        rows = ([cell.replace("|", "\\|") for cell in row] for row in (table.header, rule, *table.rows))
        blocks.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    return "\n\n".join([*blocks, *tail_lines(comparisons)]) + "\n"


def render_csv(comparisons: Comparisons) -> str:
    """One line a subject and edited model, unrounded, for spreadsheets and scripts."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["model", *_CSV_FIELDS, *_CSV_PAIRED])
    for comparison in comparisons:
        for subject in comparison.subjects:
            paired = [getattr(subject.paired, field, None) for field in _CSV_PAIRED]
            fields = [getattr(subject, field) for field in _CSV_FIELDS]
            writer.writerow([comparison.edited.label, *fields, *paired])
    return out.getvalue()


def render_latex(comparisons: Comparisons) -> str:
    """The verdict as a booktabs table; the rest as comments above it."""
    table = tables(comparisons)[0]
    columns = "".join("l" if _is_text(name) else "r" for name in table.header)
    rows = [
        " & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in (table.header, *table.rows)
    ]
    return "\n".join(
        [
            *(f"% {line}" for line in (*head_lines(comparisons), *tail_lines(comparisons))),
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            rows[0],
            r"\midrule",
            *rows[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def render_json(comparisons: Comparisons) -> str:
    """The artifact itself: one comparison, or a set of several."""
    if len(comparisons) == 1:
        return canonical_json(comparisons[0].model_dump(mode="json"))
    return canonical_json(ComparisonSet(comparisons=tuple(comparisons)).model_dump(mode="json"))


FORMATS: dict[str, Callable[[Comparisons], str]] = {
    "table": render_table,
    "json": render_json,
    "markdown": render_markdown,
    "csv": render_csv,
    "latex": render_latex,
}


def _aligned(table: Table) -> list[str]:
    """Names and verdicts stand left, numbers right."""
    rows = [table.header, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.header))]
    left = [_is_text(name) for name in table.header]
    return [
        "  ".join(
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(row, widths, left, strict=True)
        ).rstrip()
        for row in rows
    ]


def _is_text(column: str) -> bool:
    return column in ("subject", "edited by", "verdict")
