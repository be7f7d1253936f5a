"""The forest plot: each subject's difference with its interval, around the line of no change."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sae_merge_method import escape
from sae_merge_method.errors import UsageError
from sae_merge_method.files.writing import write_bytes
from sae_merge_method.reports.figure import INK, new_figure, picture
from sae_merge_method.statistics.verdicts import NOT_TESTED, VERDICTS
from sae_merge_method.verdict_tables.column import Row
from sae_merge_method.verdict_tables.tables import Comparisons, rows_by_subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# One marker a model, so that several are told apart without colour, which says the verdict.
_MARKERS = "osD^vPX*"
_FORMS: dict[str, Literal["png", "svg"]] = {".png": "png", ".svg": "svg"}


def write_forest(path: Path, comparisons: Comparisons) -> None:
    """Draw into a PNG or SVG, as the name ends: same comparisons, same bytes.

    Raises:
        UsageError: Another ending.
    """
    if path.suffix not in _FORMS:
        raise UsageError(f"expected a plot's name to end in {' or '.join(_FORMS)}, got {path}")
    subjects = list(rows_by_subject(comparisons))
    models = comparisons.comparisons
    figure = new_figure(8, 1.6 + 0.32 * sum(len(rows) for rows in subjects))
    axes = figure.add_subplot()
    axes.axvline(0, color="black", linewidth=0.8)
    markers = {id(one): _MARKERS[nth % len(_MARKERS)] for nth, one in enumerate(models)}
    for i, rows in enumerate(subjects):
        for nth, row in enumerate(rows):
            height = i + (nth - (len(rows) - 1) / 2) * 0.7 / len(rows)
            _draw_row(axes, row, height, markers[id(row.comparison)])
    axes.set_yticks(range(len(subjects)), [escape.figure(rows[0].subject.task) for rows in subjects])
    axes.set_ylim(len(subjects) - 0.4, -0.6)
    # Under the whole figure: the axes alone are too narrow beside long names.
    figure.supxlabel(escape.figure(_caption([row for rows in subjects for row in rows])), fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    if len(models) > 1:
        handles = [axes.plot([], [], markers[id(one)], color="black", fillstyle="none")[0] for one in models]
        # matplotlib leaves out what begins with an underscore.
        labels = [re.sub("^_", " _", escape.figure(one.edited.label)) for one in models]
        figure.legend(handles, labels, loc="outside upper right", ncols=min(4, len(models)), frameon=False)
    write_bytes(path, picture(figure, _FORMS[path.suffix]))


def _draw_row(axes: "Axes", row: Row, height: float, marker: str) -> None:
    subject, scale = row.subject, 100 if row.is_share else 1
    colour = VERDICTS[subject.verdict].colour
    if subject.verdict == NOT_TESTED:
        # A point would be read as a difference with no interval, at 0 as no difference.
        axes.text(
            0.99, height, NOT_TESTED, transform=axes.get_yaxis_transform(), ha="right", va="center",
            fontsize="small", fontstyle="italic", color=INK,
        )  # fmt: skip
        return
    if subject.interval is not None:
        ends = [end * scale for end in subject.interval]
        axes.plot(ends, (height, height), color=colour, linewidth=1.8, solid_capstyle="butt")
    face = colour if row.stands else "white"
    axes.plot(subject.delta * scale, height, marker, color=colour, markerfacecolor=face)


def _caption(rows: Sequence[Row]) -> str:
    one = rows[0].comparison
    unit = ", in points" if rows[0].is_share else ""
    stands = " (filled: stands after correction)" if rows[0].correction else ""
    there = {row.subject.verdict for row in rows}
    named = [
        f"{verdict.colour_name} {name}"
        for name, verdict in VERDICTS.items()
        if name != NOT_TESTED and (verdict.is_common or name in there)
    ]
    return (
        f"{one.metric}: edited minus base{unit}, with {100 * (1 - one.alpha):g}% intervals of the test\n"
        f"{', '.join(named)}{stands}"
    )
