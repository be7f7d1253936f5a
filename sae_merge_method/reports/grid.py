"""One table, drawn for every reader: terminal, Markdown, HTML, LaTeX, CSV show the same cells.

What stands in the cells, and how numbers are rounded, is the caller's affair (see ``numbers``).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sae_merge_method.escape import csv_field, html, latex, markdown, terminal_line

NOTHING = "-"
"""What stands where there is no number."""

UNDER_HEADER = frozenset((0,))
"""For :attr:`Grid.ruled`: the one rule under the header."""


class Cell(NamedTuple):
    """One number or word."""

    text: str
    """As it is read; plain text, whatever it is drawn in."""
    value: float | str | None = None
    """Unrounded, to sort by, to colour by and for CSV; None where there is none."""
    strong: bool = False
    """Whether it stands out: of a test, that it is significant."""
    html: str = ""
    """What a page shows in the text's place, such as a link: already safe. Empty for the text itself."""


class Grid(NamedTuple):
    """A table."""

    header: tuple[str, ...]
    """Headings, each its own."""
    rows: tuple[tuple[Cell, ...], ...]
    """As many cells a row as there are headings."""
    words: frozenset[str] = frozenset()
    """Headings of the columns that hold words: they stand left, numbers right."""
    marked: frozenset[int] = frozenset()
    """Numbers of the rows that the table is about."""
    ruled: frozenset[int] = frozenset()
    """Numbers of the rows that a rule stands above, in plain text; 0 is the one under the header."""
    title: str = ""
    """Stands above; empty for none."""


def plain_grid(header: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[str] = ()) -> Grid:
    """A grid of texts alone."""
    cells = tuple(tuple(Cell(text) for text in row) for row in rows)
    return Grid(tuple(header), cells, frozenset(words))


def with_content(grid: Grid, keep: int = 0) -> Grid:
    """The grid without the columns whose cells are all empty; the first ``keep`` stay."""
    shown = [
        column
        for column in range(len(grid.header))
        if column < keep or any(row[column].text for row in grid.rows)
    ]
    return grid._replace(
        header=tuple(grid.header[column] for column in shown),
        rows=tuple(tuple(row[column] for column in shown) for row in grid.rows),
    )


def as_text(grid: Grid) -> str:
    """Aligned columns for a terminal; marked rows begin with an asterisk. No final newline."""
    lines = [tuple(map(terminal_line, grid.header))]
    lines += [
        tuple(
            ("*" if row in grid.marked and not nth else "") + terminal_line(cell.text)
            for nth, cell in enumerate(cells)
        )
        for row, cells in enumerate(grid.rows)
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = _left(grid)
    drawn = [
        "  ".join(
            text.ljust(width) if is_left else text.rjust(width)
            for text, width, is_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in lines
    ]
    rule = "-" * max(map(len, drawn))
    parts = [terminal_line(grid.title)] if grid.title else []
    for number, line in enumerate(drawn, start=-1):
        parts += [rule, line] if number in grid.ruled else [line]
    return "\n".join(parts)


def as_markdown(grid: Grid) -> str:
    """A table as GitHub and the Hub show it; strong cells and the first of a marked row are bold."""
    rule = ["---" if is_left else "---:" for is_left in _left(grid)]
    rows = []
    for number, cells in enumerate(grid.rows):
        row = [f"**{markdown(cell.text)}**" if cell.strong else markdown(cell.text) for cell in cells]
        if number in grid.marked and not cells[0].strong:
            row[0] = f"**{row[0]}**"
        rows.append(row)
    lines = [f"| {' | '.join(line)} |" for line in ([markdown(name) for name in grid.header], rule, *rows)]
    title = [f"**{markdown(grid.title)}**", ""] if grid.title else []
    return "\n".join([*title, *lines])


def as_html(
    grid: Grid, kind: str = "", colour: Callable[[float], str] | None = None, ascending: str = ""
) -> str:
    """A table for :func:`~sae_merge_method.reports.html.html_page`, in a box that scrolls by itself.

    Args:
        grid: The table.
        kind: CSS class; "sortable" sorts by the cells' values.
        colour: CSS colour behind a cell, from its value.
        ascending: Heading of the column that the rows are already sorted by.
    """
    left = _left(grid)
    sorted_by = [bool(ascending) and name == ascending for name in grid.header]
    heads = "".join(
        f"<th{_TEXT if is_left else ''}{_ASCENDING if is_sorted else ''}>{html(name)}</th>"
        for name, is_left, is_sorted in zip(grid.header, left, sorted_by, strict=True)
    )
    rows = []
    for number, cells in enumerate(grid.rows):
        drawn = (_html_cell(cell, is_left, colour) for cell, is_left in zip(cells, left, strict=True))
        rows.append(f"<tr{_CHOSEN if number in grid.marked else ''}>{''.join(drawn)}</tr>")
    body, named = "\n".join(rows), f' class="{kind}"' if kind else ""
    return (
        f'<div class="scroll" tabindex="0"><table{named}><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def as_latex(grid: Grid) -> str:
    """A booktabs table; a final newline."""
    columns = "".join("l" if is_left else "r" for is_left in _left(grid))
    texts = [grid.header, *([cell.text for cell in cells] for cells in grid.rows)]
    header, *rows = (" & ".join(map(latex, line)) + r" \\" for line in texts)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            header,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def as_csv(grid: Grid) -> str:
    """Values, unrounded where there is one; a line a row, for spreadsheets and scripts."""
    rows = [
        grid.header,
        *([cell.text if cell.value is None else cell.value for cell in cells] for cells in grid.rows),
    ]
    lines = (",".join(csv_field(one) if isinstance(one, str) else str(one) for one in row) for row in rows)
    # A line without a character would be no row.
    return "".join(f"{line or chr(34) * 2}\n" for line in lines)


_TEXT = ' class="text"'
_CHOSEN = ' class="chosen"'
_ASCENDING = ' aria-sort="ascending"'


def _left(grid: Grid) -> list[bool]:
    return [name in grid.words for name in grid.header]


def _html_cell(cell: Cell, is_left: bool, colour: Callable[[float], str] | None) -> str:
    text = cell.html or html(cell.text)
    text = f"<b>{text}</b>" if cell.strong else text
    value = "" if cell.value is None else html(str(cell.value))
    style = ""
    if colour is not None and isinstance(cell.value, float):
        style = f' style="background: {colour(cell.value)}"'
    return f'<td{_TEXT if is_left else ""}{style} data-value="{value}">{text}</td>'
