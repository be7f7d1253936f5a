"""``specificity.png``: a bar per layer, or part of one, its interval, and what shuffled labels would give."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.artifacts.layer_diagnosis import LayerDiagnosis
from sae_merge_method.diagnose.tables import layers_diagnosed
from sae_merge_method.layers import Unit
from sae_merge_method.models.parts import PARTS
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

_LEGEND = ("score", "chosen", "estimate for unlimited documents", "shuffled labels")


def plot_specificity(diagnosis: Diagnosis, unit: str, selected: Collection[Unit] = ()) -> bytes:
    """Draw the diagnosis as a PNG: same diagnosis, same bytes.

    Bars of a layer's parts stand side by side, attention's on the left.

    Args:
        diagnosis: What to draw.
        unit: Unit of the score, for the axis.
        selected: Layers, or parts of layers, to mark, where a selection was made.
    """
    entries = diagnosis.layers
    parts = [part for part in PARTS if any(entry.part == part for entry in entries)]
    wide = 1 / max(1, len(parts))
    at = np.array([_place(entry, parts) for entry in entries])
    scores = np.array([entry.score for entry in entries])
    figure = new_figure(layer_width(len(entries)), 4.2)
    controls = ", ".join(Path(control.name).name for control in diagnosis.controls)
    scored = layers_diagnosed(diagnosis).replace("diagnosed", "scored")
    axes = layer_axes(
        figure,
        f"specificity {diagnosis.score} ({unit})",
        f"{Path(diagnosis.target.name).name} against {controls}: {scored}",
    )
    for part, is_selected, colour, label in _bars(parts):
        mask = np.array([entry.part == part and (entry.unit in selected) == is_selected for entry in entries])
        if mask.any():
            axes.bar(at[mask], scores[mask], width=0.7 * wide, color=colour, label=label, zorder=2)
    nulls = [entry.null for entry in entries if entry.null]
    if len(nulls) == len(entries):
        high = np.array([null.high for null in nulls])
        mean = np.array([null.mean for null in nulls])
        axes.bar(
            at, high - np.minimum(mean, 0), width=0.94 * wide, bottom=np.minimum(mean, 0), color=GREY,
            alpha=0.45, label="shuffled labels, up to the 95th percentile", zorder=3,
        )  # fmt: skip
        axes.hlines(mean, at - 0.47 * wide, at + 0.47 * wide, color=INK, linewidth=1, zorder=4,
                    label="shuffled labels, mean")  # fmt: skip
    intervals = [entry.interval for entry in entries if entry.interval]
    if len(intervals) == len(entries):
        estimate = np.array([interval.estimate for interval in intervals])
        reach = [[i.estimate - i.low for i in intervals], [i.high - i.estimate for i in intervals]]
        axes.errorbar(
            at, estimate, yerr=np.clip(reach, 0, None), fmt="o", markersize=3, color=INK, elinewidth=1,
            capsize=2, zorder=5, label=f"estimate for unlimited documents, {intervals[0].level:.0%} interval",
        )  # fmt: skip
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_xlim(-0.7, diagnosis.model.n_layers - 0.3)
    axes.margins(y=0.12)
    # In the order of the reader's questions; by itself the legend would sort by kind of drawing.
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(
        {label: nth for nth, label in enumerate(labels)}.values(), key=lambda nth: _rank(labels[nth])
    )
    figure.legend(
        [handles[nth] for nth in order], [labels[nth] for nth in order],
        loc="outside lower center", ncols=2, fontsize=8, frameon=False,
    )  # fmt: skip
    return picture(figure)


def _rank(label: str) -> int:
    return next(nth for nth, begins in enumerate(_LEGEND) if label.startswith(begins))


_SHADES = (BLUE, PALE)
_CHOSEN = "chosen"


def _bars(parts: Sequence[str]) -> list[tuple[str | None, bool, str, str]]:
    """Which bars are drawn together: of which part, whether they are chosen, their colour and name."""
    if not parts:
        return [(None, False, BLUE, "score"), (None, True, RED, f"{_CHOSEN} layers")]
    plain = [
        (part, False, shade, f"score of {PARTS[part].title}")
        for part, shade in zip(parts, _SHADES, strict=False)
    ]
    return [*plain, *((part, True, RED, f"{_CHOSEN} modules") for part in parts)]


def _place(entry: LayerDiagnosis, parts: Sequence[str]) -> float:
    """Where a bar stands: at its layer, or beside it."""
    if entry.part is None:
        return float(entry.layer)
    return entry.layer + (parts.index(entry.part) + 0.5) / len(parts) - 0.5
