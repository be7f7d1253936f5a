"""Figures that are the same bytes each time: made without a window system, written without dates."""

import io
from typing import TYPE_CHECKING, Literal

from sae_merge_method import escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, BLUE, RED, GREY, PALE = "#222222", "#3b6ea5", "#c8553d", "#9a9a9a", "#b9c9da"
"""Text and lines; what is measured; what was chosen, or chance; nulls; what only could be."""


def new_figure(width: float, height: float, *, dpi: int = 150, constrained: bool = True) -> "Figure":
    """An empty figure of so many inches.

    The Agg canvas directly: pyplot would choose a window system and keep global state.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained" if constrained else None)
    FigureCanvasAgg(figure)
    return figure


def layer_axes(figure: "Figure", y_label: str, title: str) -> "Axes":
    """Axes whose x are decoder layers; label and title are plain text."""
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=18, min_n_ticks=1))
    axes.set_xlabel("decoder layer")
    axes.set_ylabel(escape.figure(y_label))
    axes.set_title(escape.figure(title), fontsize=10, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def layer_width(n_layers: int) -> float:
    """Inches of a figure with so many layers side by side."""
    return max(6.4, 2.4 + 0.24 * n_layers)


def picture(figure: "Figure", form: Literal["png", "svg"] = "png") -> bytes:
    """The drawn figure: same figure, same bytes."""
    from matplotlib import rc_context

    drawn = io.BytesIO()
    layout = figure.get_layout_engine()
    if layout is not None and form == "png":  # else all is drawn twice, once for nothing but this
        layout.execute(figure)
        figure.set_layout_engine(None)
    # A fixed salt and no date: matplotlib's SVGs are otherwise never the same twice.
    with rc_context({"svg.hashsalt": "sae-merge"}):
        figure.savefig(drawn, format=form, metadata={"Date": None} if form == "svg" else {"Software": None})
    return drawn.getvalue()
