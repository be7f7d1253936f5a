"""An energy report as a table and as a plot."""

from io import BytesIO
from pathlib import Path

import numpy as np

from sae_merge_method.artifacts.energy_report import Energy, EnergyReport, LayerEnergy
from sae_merge_method.files.writing import write_bytes

_HEADER = (
    "",
    "rank",
    "|tau|/|base|",
    "kept",
    "chance",
    "ratio",
    "random",
    "best",
    "eff. rank",
    "top covered",
)


def format_table(report: EnergyReport) -> str:
    """Whole, layers, kinds: a line each, and what the columns mean."""
    rows: list[tuple[str, ...]] = [_HEADER]
    rows += [_row(f"layer {entry.layer}", entry) for entry in report.layers]
    rows += [_row(f"{entry.kind} ({entry.side})", entry) for entry in report.kinds]
    rows.append(_row("whole", report.total))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * max(map(len, lines))
    parts = [lines[0], rule, *lines[1 : 1 + len(report.layers)], rule]
    parts += [*lines[1 + len(report.layers) : -1], rule, lines[-1], "", *_notes(report)]
    return "\n".join(parts) + "\n"


def _row(name: str, entry: Energy) -> tuple[str, ...]:
    shown = (
        f"{entry.relative_norm:.4f}" if entry.relative_norm is not None else "-",
        f"{entry.kept:.4f}" if entry.kept is not None else "-",
        f"{entry.chance:.4f}" if entry.chance is not None else "-",
        f"{entry.ratio:.2f}" if entry.ratio is not None else "-",
        f"{entry.random.low:.4f}..{entry.random.high:.4f}" if entry.random else "-",
    )
    if not isinstance(entry, LayerEnergy):
        return (name, "", *shown, "", "", "")
    return (
        name,
        str(entry.rank),
        *shown,
        f"{entry.best:.4f}" if entry.best is not None else "-",
        f"{entry.effective_rank:.1f}",
        f"{entry.principal.covered:.4f}",
    )


def _notes(report: EnergyReport) -> list[str]:
    notes = [
        "kept: share of the task vector's energy in the span of the selected features; chance: r/d;",
    ]
    if report.total.random:
        drawn = report.total.random
        notes.append(
            f"random: where {drawn.level:.0%} of random subspaces of that rank fall, judged by {drawn.seeds};"
        )
    notes += [
        "best: what the best subspace of that rank would keep; eff. rank: directions that share the energy;",
        "top covered: how far the span covers the leading principal directions, r/d by chance.",
        f"The reading side is measured with the features of the {_WHOSE[report.read_from]}.",
    ]
    if report.left_out:
        notes.append(f"Left out, residual axis unknown: {', '.join(report.left_out)}")
    return notes


_WHOSE = {"own": "layer itself", "previous": "layer before"}


_KEPT = "#3b6ea5"
_BEST = "#b9c9da"
_RANDOM = "#9a9a9a"
_CHANCE = "#c8553d"
_INK = "#222222"


def write_plot(path: Path, report: EnergyReport) -> None:
    """Draw the report as PNG: same report, same bytes."""
    # The Agg canvas directly: pyplot would choose a window system and keep global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    entries = [entry for entry in report.layers if entry.energy > 0]
    layers = np.array([entry.layer for entry in entries])
    kept, best, chance = (
        np.array([getattr(entry, name) for entry in entries], dtype=np.float64)
        for name in ("kept", "best", "chance")
    )
    figure = Figure(figsize=(max(6.4, 2.4 + 0.24 * len(layers)), 4.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.bar(
        layers, kept, width=0.7, color=_KEPT, zorder=2,
        label="kept by the selected features' span",
    )  # fmt: skip
    axes.plot(
        layers, best, "_", markersize=9, markeredgewidth=2, color=_BEST,
        zorder=3, label="best subspace of that rank",
    )  # fmt: skip
    drawn = [entry.random for entry in entries if entry.random]
    if entries and len(drawn) == len(entries):
        mean = np.array([one.mean for one in drawn])
        reach = [mean - [one.low for one in drawn], np.array([one.high for one in drawn]) - mean]
        axes.errorbar(
            layers, mean, yerr=reach, fmt="o", markersize=3, color=_RANDOM, elinewidth=1.2, capsize=2,
            zorder=4, label=f"random subspaces, {drawn[0].level:.0%} interval",
        )  # fmt: skip
    axes.hlines(
        chance, layers - 0.5, layers + 0.5, color=_CHANCE, linewidth=1.4, zorder=5, label="chance, r/d"
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=18, min_n_ticks=1))
    axes.set_xlabel("decoder layer")
    axes.set_ylabel("share of the task vector's energy")
    axes.set_ylim(bottom=0)
    axes.set_title(_title(report), fontsize=10, color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    picture = BytesIO()
    # No Software or date in the file: nothing but the picture.
    figure.savefig(picture, format="png", metadata={"Software": None})
    write_bytes(path, picture.getvalue())


def _title(report: EnergyReport) -> str:
    total = report.total
    if total.kept is None or total.chance is None:
        return "the donor does not differ from the base"
    return f"the span keeps {total.kept:.2%} of the task vector's energy, chance {total.chance:.2%}"
