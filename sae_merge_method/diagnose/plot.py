"""``specificity.png``: a bar per layer, its interval, and what shuffled labels would give."""

from pathlib import Path

import numpy as np

from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.reports.figure import BLUE, GREY, INK, RED, layer_axes, layer_width, new_figure, picture

_LEGEND = ("score", "chosen layers", "estimate for unlimited documents", "shuffled labels")


def plot_specificity(diagnosis: Diagnosis, unit: str, selected: tuple[int, ...] = ()) -> bytes:
    """Draw the diagnosis as a PNG: same diagnosis, same bytes.

    Args:
        diagnosis: What to draw.
        unit: Unit of the score, for the axis.
        selected: Layers to mark, where a selection was made.
    """
    entries = diagnosis.layers
    layers = np.array([entry.layer for entry in entries])
    scores = np.array([entry.score for entry in entries])
    figure = new_figure(layer_width(len(layers)), 4.2)
    controls = ", ".join(Path(control.name).name for control in diagnosis.controls)
    scored = f"{len(layers)} of {diagnosis.model.n_layers} layers scored"
    axes = layer_axes(
        figure,
        f"specificity {diagnosis.score} ({unit})",
        f"{Path(diagnosis.target.name).name} against {controls}: {scored}",
    )
    for is_selected, colour, label in ((False, BLUE, "score"), (True, RED, "chosen layers")):
        mask = np.isin(layers, selected) == is_selected
        if mask.any():
            axes.bar(layers[mask], scores[mask], width=0.7, color=colour, label=label, zorder=2)
    nulls = [entry.null for entry in entries if entry.null]
    if len(nulls) == len(entries):
        high = np.array([null.high for null in nulls])
        mean = np.array([null.mean for null in nulls])
        edges = np.append(layers - 0.5, layers[-1] + 0.5)
        axes.bar(
            layers, high - np.minimum(mean, 0), width=0.94, bottom=np.minimum(mean, 0), color=GREY,
            alpha=0.45, label="shuffled labels, up to the 95th percentile", zorder=3,
        )  # fmt: skip
        axes.hlines(mean, edges[:-1] + 0.03, layers + 0.47, color=INK, linewidth=1, zorder=4,
                    label="shuffled labels, mean")  # fmt: skip
    intervals = [entry.interval for entry in entries if entry.interval]
    if len(intervals) == len(entries):
        estimate = np.array([interval.estimate for interval in intervals])
        reach = [[i.estimate - i.low for i in intervals], [i.high - i.estimate for i in intervals]]
        axes.errorbar(
            layers, estimate, yerr=np.clip(reach, 0, None), fmt="o", markersize=3, color=INK, elinewidth=1,
            capsize=2, zorder=5, label=f"estimate for unlimited documents, {intervals[0].level:.0%} interval",
        )  # fmt: skip
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_xlim(-0.7, diagnosis.model.n_layers - 0.3)
    axes.margins(y=0.12)
    # In the order of the reader's questions; by itself the legend would sort by kind of drawing.
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda nth: _LEGEND.index(labels[nth].split(",")[0]))
    figure.legend(
        [handles[nth] for nth in order], [labels[nth] for nth in order],
        loc="outside lower center", ncols=2, fontsize=8, frameon=False,
    )  # fmt: skip
    return picture(figure)
