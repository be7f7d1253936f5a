"""An energy report as a table and as a plot."""

from sae_merge_method.artifacts.energy_report import Energy, EnergyReport, LayerEnergy
from sae_merge_method.artifacts.realised import Realised, swallowed_note
from sae_merge_method.reports.figure import (
    BLUE,
    GREY,
    INK,
    PALE,
    RED,
    layer_axes,
    layer_width,
    new_figure,
    picture,
)
from sae_merge_method.reports.grid import NOTHING, Cell, Grid
from sae_merge_method.reports.notebook import View
from sae_merge_method.reports.numbers import decimal, percent

_HEADER = (
    "", "rank", "|tau|/|base|", "kept", "chance", "ratio", "random", "other features", "stored", "of kept",
    "best", "eff. rank", "top covered",
)  # fmt: skip


def energy_grid(report: EnergyReport) -> Grid:
    """Layers, kinds of tensors, the whole: a row each."""
    rows = [_row(f"layer {entry.layer}", entry) for entry in report.layers]
    rows += [_row(f"{entry.kind} ({entry.side})", entry) for entry in report.kinds]
    rows.append(_row("whole", report.total))
    ruled = frozenset((0, len(report.layers), len(report.layers) + len(report.kinds)))
    return Grid(_HEADER, tuple(rows), words=frozenset(_HEADER[:1]), ruled=ruled)


def energy_view(report: EnergyReport) -> View:
    """The table, and what its columns mean."""
    return View((energy_grid(report),), tail=tuple(column_notes(report)))


def _row(name: str, entry: Energy) -> tuple[Cell, ...]:
    drawn, others = entry.random, entry.others
    cells = [
        _cell(decimal(entry.relative_norm), entry.relative_norm),
        _cell(decimal(entry.kept), entry.kept),
        _cell(decimal(entry.chance), entry.chance),
        _cell(decimal(entry.ratio, 2), entry.ratio),
        Cell(f"{decimal(drawn.low)}..{decimal(drawn.high)}" if drawn else NOTHING),
        Cell(f"{decimal(others.low)}..{decimal(others.high)}" if others else NOTHING),
        _stored(entry.stored),
        _stored(entry.stored_part),
    ]
    if not isinstance(entry, LayerEnergy):
        return (Cell(name), Cell(""), *cells, Cell(""), Cell(""), Cell(""))
    return (
        Cell(name),
        Cell(str(entry.rank), float(entry.rank)),
        *cells,
        _cell(decimal(entry.best), entry.best),
        Cell(decimal(entry.effective_rank, 1), entry.effective_rank),
        Cell(decimal(entry.principal.covered), entry.principal.covered),
    )


def _stored(edit: Realised | None) -> Cell:
    """What rounding leaves: energy and cosine."""
    if edit is None or edit.share is None:
        return Cell(NOTHING)
    return Cell(f"{edit.share:.2f} cos {decimal(edit.cosine, 2) or NOTHING}", edit.share)


def _cell(text: str, value: float | None) -> Cell:
    return Cell(text or NOTHING, value)


def column_notes(report: EnergyReport) -> list[str]:
    """What the columns mean, a line each."""
    drawn, others = report.total.random, report.total.others
    notes = [
        "|tau|/|base|: the task vector's size beside the base's own; ratio: kept over chance;",
        "kept: share of the task vector's energy in the span of the selected features; chance: what a random",
        "subspace of that rank keeps on average, r/d of what has a residual axis;",
    ]
    if drawn:
        notes.append(f"random: where {drawn.level:.0%} of random subspaces of that rank fall;")
    if others:
        matched = " or ".join(sorted({entry.matched_by for entry in report.layers if entry.matched_by}))
        notes.append(
            f"other features: where {others.level:.0%} of as many other features of the same SAE fall, "
            f"matched in {matched or 'nothing'}, judged by {others.draws} draws;"
        )
    notes += [
        f"stored: energy that rounding to the base's dtype ({report.rounding}) leaves of the task vector,",
        f"at weight {report.weight:g}, and its cosine with that; of kept: the same of its part in the span;",
        "best: what the best subspace of that rank would keep; eff. rank: directions that share the energy;",
        "top covered: how far the span covers the leading principal directions, r/d by chance.",
        f"The reading side is measured with the features of the {_WHOSE[report.read_from]}, "
        f"{_READING[report.reading]}.",
    ]
    if report.not_folded:
        notes.append(f"As stored, because the norm before them is not known: {', '.join(report.not_folded)}")
    warning = swallowed_note(report.total.stored, report.rounding) if report.total.stored else None
    if warning is not None:
        notes.append(f"warning: {warning}")
    if report.left_out:
        notes.append(f"Left out, residual axis unknown: {', '.join(report.left_out)}")
    return notes


_WHOSE = {"own": "layer itself", "previous": "layer before"}
_READING = {
    "folded": "the gain of the norm before it folded in",
    "stored": "as its tensors are stored and a scalpel projects them",
}


def draw_plot(report: EnergyReport) -> bytes:
    """The kept energy by layer as PNG: same report, same bytes."""
    import numpy as np

    entries = [entry for entry in report.layers if entry.energy > 0]
    layers = np.array([entry.layer for entry in entries])
    kept, best, chance = (
        np.array([getattr(entry, name) for entry in entries], dtype=np.float64)
        for name in ("kept", "best", "chance")
    )
    figure = new_figure(layer_width(len(layers)), 4.2)
    axes = layer_axes(figure, "share of the task vector's energy", _title(report))
    axes.bar(layers, kept, width=0.7, color=BLUE, zorder=2, label="kept by the selected features' span")
    axes.plot(
        layers, best, "_", markersize=9, markeredgewidth=2, color=PALE,
        zorder=3, label="best subspace of that rank",
    )  # fmt: skip
    for name, colour, away, label in (
        ("random", GREY, -0.12, "random subspaces"),
        ("others", INK, 0.12, "other features of the same SAE"),
    ):
        drawn = [one for entry in entries if (one := getattr(entry, name)) is not None]
        if not entries or len(drawn) < len(entries):
            continue
        mean = np.array([one.mean for one in drawn])
        reach = [mean - [one.low for one in drawn], np.array([one.high for one in drawn]) - mean]
        axes.errorbar(
            layers + away, mean, yerr=reach, fmt="o", markersize=3, color=colour, elinewidth=1.2, capsize=2,
            zorder=4, label=f"{label}, {drawn[0].level:.0%} interval",
        )  # fmt: skip
    axes.hlines(chance, layers - 0.5, layers + 0.5, color=RED, linewidth=1.4, zorder=5, label="chance")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return picture(figure)


def _title(report: EnergyReport) -> str:
    total = report.total
    if total.kept is None or total.chance is None:
        return "the donor does not differ from the base"
    return f"the span keeps {percent(total.kept)} of the task vector's energy, chance {percent(total.chance)}"
