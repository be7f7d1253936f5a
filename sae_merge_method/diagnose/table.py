"""Diagnoses and selections as plain text for a terminal."""

from collections.abc import Sequence

from sae_merge_method.artifacts.diagnosis import Diagnosis, LayerDiagnosis
from sae_merge_method.diagnose.stability import Selection
from sae_merge_method.layers import format_layers

_HEADER = ("layer", "score", "corrected", "p", "q", "interval", "explained", "L0")


def format_table(diagnosis: Diagnosis, chosen: tuple[int, ...] = ()) -> str:
    """One line a layer; chosen layers are marked with an asterisk."""
    return _columns([_HEADER, *(_row(entry, entry.layer in chosen) for entry in diagnosis.layers)])


def format_selections(selections: Sequence[Selection]) -> str:
    """One line a rule: what it takes, how alike resamples are, and how often each layer is taken."""
    rows = [("rule", "layers", "agreement", "how often over resampled documents")]
    for selection in selections:
        frequent = sorted(selection.frequency.items(), key=lambda item: (-item[1], item[0]))
        rows.append(
            (
                str(selection.rule),
                format_layers(selection.layers) or "none",
                "-" if selection.agreement is None else f"{selection.agreement:.2f}",
                "  ".join(f"{layer}: {share:.2f}" for layer, share in frequent) or "-",
            )
        )
    return _columns(rows, left=True)


def _columns(rows: Sequence[tuple[str, ...]], left: bool = False) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines.append("  ".join(cell.ljust(width) if left else cell.rjust(width) for cell, width in cells))
    return "\n".join(line.rstrip() for line in lines)


def _row(entry: LayerDiagnosis, chosen: bool) -> tuple[str, ...]:
    null, interval = entry.null, entry.interval
    return (
        f"{'*' if chosen else ''}{entry.layer}",
        f"{entry.score:.4f}",
        f"{null.corrected:+.4f}" if null else "-",
        f"{null.p:.4f}" if null else "-",
        f"{null.q:.4f}" if null else "-",
        f"{interval.low:.4f} to {interval.high:.4f}" if interval else "-",
        f"{entry.explained_variance:.3f}",
        f"{entry.l0:.1f}",
    )
