"""The energy report as a plain-text table for a terminal."""

from sae_merge_method.artifacts.energy_report import Energy, EnergyReport, LayerEnergy

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
