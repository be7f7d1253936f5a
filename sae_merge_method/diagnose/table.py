"""A diagnosis as a plain-text table for a terminal."""

from sae_merge_method.artifacts.diagnosis import Diagnosis, LayerDiagnosis

_HEADER = ("layer", "score", "corrected", "p", "q", "interval", "explained", "L0")


def format_table(diagnosis: Diagnosis, chosen: tuple[int, ...] = ()) -> str:
    """One line a layer; chosen layers are marked with an asterisk."""
    rows = [_HEADER, *(_row(entry, entry.layer in chosen) for entry in diagnosis.layers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


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
