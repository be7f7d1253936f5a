"""``specificity.png``: a bar per layer, its interval, and what shuffled labels would give."""

import io
from pathlib import Path

import numpy as np

from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.files.writing import write_bytes

_BAR = "#3b6ea5"
_CHOSEN = "#c8553d"
_NULL = "#9a9a9a"
_INK = "#222222"
_LEGEND = ("score", "chosen layers", "estimate for unlimited documents", "shuffled labels")


def write_plot(path: Path, diagnosis: Diagnosis, unit: str, chosen: tuple[int, ...] = ()) -> None:
    """Draw the diagnosis as a PNG: same diagnosis, same bytes.

    Args:
        path: File to write.
        diagnosis: What to draw.
        unit: Unit of the score, for the axis.
        chosen: Layers to mark as chosen, where a selection was made.
    """
    # The Agg canvas directly: pyplot would choose a window system and keep global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    entries = diagnosis.layers
    layers = np.array([entry.layer for entry in entries])
    scores = np.array([entry.score for entry in entries])
    figure = Figure(figsize=(max(6.4, 2.4 + 0.24 * len(layers)), 4.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for is_chosen, colour, label in ((False, _BAR, "score"), (True, _CHOSEN, "chosen layers")):
        mask = np.isin(layers, chosen) == is_chosen
        if mask.any():
            axes.bar(layers[mask], scores[mask], width=0.7, color=colour, label=label, zorder=2)
    nulls = [entry.null for entry in entries if entry.null]
    if len(nulls) == len(entries):
        high = np.array([null.high for null in nulls])
        mean = np.array([null.mean for null in nulls])
        edges = np.append(layers - 0.5, layers[-1] + 0.5)
        axes.bar(
            layers, high - np.minimum(mean, 0), width=0.94, bottom=np.minimum(mean, 0), color=_NULL,
            alpha=0.45, label="shuffled labels, up to the 95th percentile", zorder=3,
        )  # fmt: skip
        axes.hlines(mean, edges[:-1] + 0.03, layers + 0.47, color=_INK, linewidth=1, zorder=4,
                    label="shuffled labels, mean")  # fmt: skip
    intervals = [entry.interval for entry in entries if entry.interval]
    if len(intervals) == len(entries):
        estimate = np.array([interval.estimate for interval in intervals])
        reach = [[i.estimate - i.low for i in intervals], [i.high - i.estimate for i in intervals]]
        axes.errorbar(
            layers, estimate, yerr=np.clip(reach, 0, None), fmt="o", markersize=3, color=_INK, elinewidth=1,
            capsize=2, zorder=5, label=f"estimate for unlimited documents, {intervals[0].level:.0%} interval",
        )  # fmt: skip
    axes.axhline(0, color=_INK, linewidth=0.6)
    axes.set_xlim(-0.7, diagnosis.model.n_layers - 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=18, min_n_ticks=1))
    axes.set_xlabel("decoder layer")
    axes.set_ylabel(f"specificity {diagnosis.score} ({unit})")
    heard = f"{len(layers)} of {diagnosis.model.n_layers} layers heard"
    axes.set_title(
        f"{Path(diagnosis.target.name).name} against {Path(diagnosis.control.name).name}: {heard}",
        fontsize=10, color=_INK,
    )  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12)
    # In the order of the reader's questions; by itself the legend would sort by kind of drawing.
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda place: _LEGEND.index(labels[place].split(",")[0]))
    figure.legend(
        [handles[place] for place in order], [labels[place] for place in order],
        loc="outside lower center", ncols=2, fontsize=8, frameon=False,
    )  # fmt: skip
    # No Software or date in the file: nothing but the picture.
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    write_bytes(path, picture.getvalue())
