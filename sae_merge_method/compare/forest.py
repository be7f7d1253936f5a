"""The forest plot: each subject's difference with its interval, around the line of no change."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.comparison import Comparison, Subject
from sae_merge_method.compare.table import Row, rows_by_subject
from sae_merge_method.errors import UsageError
from sae_merge_method.files.writing import write_bytes
from sae_merge_method.statistics.intervals import Interval, normal_interval

_COLOURS = {"improved": "#1b7837", "degraded": "#b2182b", "unchanged": "#737373", "untested": "#bdbdbd"}
# One marker a model, so that several are told apart without colour, which says the verdict.
_MARKERS = "osD^vPX*"
SUFFIXES = (".png", ".svg")


def write_forest(path: Path, comparisons: Sequence[Comparison]) -> None:
    """Draw into a PNG or SVG, as the name ends: same comparisons, same bytes.

    Raises:
        UsageError: Another ending.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"expected a plot's name to end in {' or '.join(SUFFIXES)}, got {path}")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    subjects = list(rows_by_subject(comparisons))
    lines = sum(len(rows) for rows in subjects)
    # A fixed salt and no date: matplotlib's SVGs are otherwise never the same twice.
    with rc_context({"svg.hashsalt": "sae-merge"}):
        figure = Figure(figsize=(8, 1.6 + 0.32 * lines), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(0, color="black", linewidth=0.8)
        markers = {id(one): _MARKERS[nth % len(_MARKERS)] for nth, one in enumerate(comparisons)}
        for i, rows in enumerate(subjects):
            for nth, row in enumerate(rows):
                height = i + (nth - (len(rows) - 1) / 2) * 0.7 / len(rows)
                _draw_row(axes, row, height, markers[id(row.comparison)])
        axes.set_yticks(range(len(subjects)), [rows[0].subject.task for rows in subjects])
        axes.set_ylim(len(subjects) - 0.4, -0.6)
        # Under the whole figure: the axes alone are too narrow beside long names.
        figure.supxlabel(_caption(subjects[0][0]), fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
        if len(comparisons) > 1:
            for one in comparisons:
                axes.plot([], [], markers[id(one)], color="black", fillstyle="none", label=one.edited.label)
            figure.legend(loc="outside upper right", ncols=min(4, len(comparisons)), frameon=False)
        out = io.BytesIO()
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(out, format=path.suffix[1:], dpi=150, metadata=metadata)
    write_bytes(path, out.getvalue())


def _draw_row(axes: Any, row: Row, height: float, marker: str) -> None:
    subject, scale = row.subject, 100 if row.percent else 1
    colour = _COLOURS[subject.verdict]
    interval = difference_interval(subject, row.comparison.alpha)
    if interval is not None:
        ends = [end * scale for end in interval]
        axes.plot(ends, (height, height), color=colour, linewidth=1.8, solid_capstyle="butt")
    # Groups are not corrected, so their verdict stands as it is.
    stands = subject.holds or (row.is_group and subject.verdict in ("improved", "degraded"))
    face = colour if stands else "white"
    axes.plot(subject.delta * scale, height, marker, color=colour, markerfacecolor=face)


def _caption(row: Row) -> str:
    one = row.comparison
    unit = ", in points" if row.percent else ""
    stands = "" if one.correction == "none" else " (filled: stands after correction)"
    return (
        f"{one.metric}: edited minus base{unit}, with {100 * (1 - one.alpha):g}% intervals\n"
        f"green improved, red degraded{stands}, grey unchanged"
    )


def difference_interval(subject: Subject, alpha: float) -> Interval | None:
    """Normal interval of the difference, from lm-eval's standard errors: what the default test sees."""
    if subject.base_stderr is None or subject.edited_stderr is None:
        return None
    stderr = (subject.base_stderr**2 + subject.edited_stderr**2) ** 0.5
    return normal_interval(subject.delta, stderr, 1 - alpha)
