"""Comparisons as text: terminal table, JSON, Markdown, CSV, LaTeX; printed, or written into files."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import COMPARISON_FILE, TABLE_FILE
from sae_merge_method.errors import UsageError
from sae_merge_method.escape import comment
from sae_merge_method.files.lock import locked
from sae_merge_method.files.writing import canonical_json, write_text
from sae_merge_method.reports.grid import as_csv, as_latex, as_markdown
from sae_merge_method.reports.markdown import bullets, plain
from sae_merge_method.reports.notebook import view_text
from sae_merge_method.verdict_tables.tables import Comparisons, unrounded, verdict_table, view


def render_table(comparisons: Comparisons) -> str:
    """Columns of plain text, for a terminal."""
    return view_text(view(comparisons)) + "\n"


def render_json(comparisons: Comparisons) -> str:
    """The artifact itself: one comparison, or a set of several."""
    return canonical_json(comparisons.model_dump(mode="json"))


def render_markdown(comparisons: Comparisons) -> str:
    """Tables as GitHub and the Hub show them."""
    shown = view(comparisons)
    blocks = [bullets([plain(line) for line in shown.head]), *map(as_markdown, shown.grids)]
    blocks += [plain(line) for line in shown.tail]
    return "\n\n".join(blocks) + "\n"


def render_csv(comparisons: Comparisons) -> str:
    """One line a subject and edited model, unrounded, for spreadsheets and scripts."""
    return as_csv(unrounded(comparisons))


def render_latex(comparisons: Comparisons) -> str:
    """The verdict as a booktabs table; the rest as comments above it."""
    shown = view(comparisons)
    comments = [f"% {comment(line)}" for line in (*shown.head, *shown.tail)]
    return "\n".join([*comments, as_latex(verdict_table(comparisons))])


class Format(NamedTuple):
    """A form in which a comparison can be printed or written."""

    name: str
    """As ``--format`` takes it."""
    description: str
    """For help."""
    suffix: str
    """Ending of a file's name that asks for it."""
    render: Callable[[Comparisons], str]


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format("table", "columns for a terminal", ".txt", render_table),
        Format("json", "comparison.json, unrounded; --schema explains it", ".json", render_json),
        Format("markdown", "tables as GitHub and the Hub show them", ".md", render_markdown),
        Format("csv", "a line a subject and model, unrounded", ".csv", render_csv),
        Format("latex", "the verdict as a booktabs table, the rest as comments", ".tex", render_latex),
    )
}


def suffixes() -> dict[str, Format]:
    """Formats by the ending that asks for them."""
    return {form.suffix: form for form in FORMATS.values()}


def write_comparison(out: Path, comparisons: Comparisons) -> None:
    """Write into one file, in the format its name ends in; under any other name, a folder's two files.

    Raises:
        UsageError: ``out`` is a file of another ending.
        InUseError: Another process is at work in the folder.
    """
    form = suffixes().get(out.suffix)
    if form is not None and not out.is_dir():
        write_text(out, form.render(comparisons))
    elif out.is_file():
        raise UsageError(
            f"expected --out to name a folder or a {'/'.join(suffixes())} file, got the file {out}"
        )
    else:
        out.mkdir(parents=True, exist_ok=True)
        with locked(out):
            write_text(out / COMPARISON_FILE, render_json(comparisons))
            write_text(out / TABLE_FILE, render_markdown(comparisons))
