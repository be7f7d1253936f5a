"""Gain against damage of every edit that was searched, with the front that no other beats, and the winner's
weights."""

from typing import Any

from sae_merge_method import escape
from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.artifacts.tuned_edits import SearchedEdit
from sae_merge_method.layers import layer_of, part_of_layer
from sae_merge_method.models.parts import PARTS
from sae_merge_method.reports.figure import BLUE, INK, RED, layer_axes, layer_width, new_figure, picture
from sae_merge_method.tune.families import EVERY_LAYER, FAMILIES, Look

_GONE = Look("#E69F00", "P")
"""Of a family in an older result that is searched no more."""
_OTHER_DONORS = (
    "#E69F00",
    "#D55E00",
    "#999999",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#999999",
    "#0072B2",
    "#009E73",
)
"""Colours of the second donor's weights and of those after it, and round again."""
_PALE = 0.45
"""Opacity of the bars of a layer's second part."""
_ABOVE = 3.0
"""Damage beyond so many budgets is left out of the picture."""


def front(candidates: tuple[SearchedEdit, ...]) -> list[SearchedEdit]:
    """The edits of which no other gains as much at less damage, least damage first (Pareto)."""
    rising: list[SearchedEdit] = []
    for one in sorted(candidates, key=lambda one: (one.search.damage.delta, -one.search.gain.delta)):
        if not rising or one.search.gain.delta > rising[-1].search.gain.delta:
            rising.append(one)
    return rising


def draw_front(tune: Tune) -> bytes:
    """The picture as PNG: same result, same bytes."""
    figure = new_figure(8.6, 5.2)
    axes = figure.add_subplot()
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.axvline(tune.budget, color=RED, linewidth=1, linestyle="--")
    shown = tuple(one for one in tune.candidates if one.search.damage.delta <= _ABOVE * tune.budget)
    line = front(shown)
    axes.step(
        [one.search.damage.delta for one in line],
        [one.search.gain.delta for one in line],
        where="post",
        color=INK,
        linewidth=0.8,
        alpha=0.5,
    )
    damped = sorted(
        (one.search.damage.delta, one.search.gain.delta) for one in shown if one.shape == EVERY_LAYER
    )
    axes.plot(
        *zip((0.0, 0.0), *damped, strict=True), color=FAMILIES["damped"].look.colour, linewidth=1.2, alpha=0.7
    )
    handles: dict[str, Any] = {}
    for name in dict.fromkeys(one.family for one in shown):
        look = FAMILIES[name].look if name in FAMILIES else _GONE
        points = [one.search for one in shown if one.family == name]
        handles[name] = axes.scatter(
            [one.damage.delta for one in points],
            [one.gain.delta for one in points],
            s=46,
            c=look.colour,
            marker=look.marker,
            edgecolors="white",
            linewidths=0.5,
            zorder=3,
        )
    won = tune.winner.report
    handles["the winner, on the report part"] = axes.errorbar(
        won.damage.delta,
        won.gain.delta,
        xerr=_error(won.damage.delta, won.damage.interval),
        yerr=_error(won.gain.delta, won.gain.interval),
        fmt="s",
        color=INK,
        markersize=7,
        elinewidth=0.8,
        zorder=4,
    )
    axes.set_xlabel("damage: nats a token of control text (dashed: the budget)")
    axes.set_ylabel("gain: nats a token of the target")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.06)
    labels = [escape.figure(name) for name in handles]
    figure.legend(
        list(handles.values()), labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False
    )
    return picture(figure)


def draw_weights(tune: Tune) -> bytes:
    """The winner's weights by layer as PNG; of modules, those of one layer side by side."""
    figure = new_figure(layer_width(tune.n_layers), 3.0)
    axes = layer_axes(figure, "weight", "the winner's weights")
    units = tune.winner.units
    parts = tuple(dict.fromkeys(map(part_of_layer, units)))
    bars = [(donor, part) for donor in range(len(tune.donors)) for part in parts]
    width = 0.8 / len(bars)
    for number, (donor, part) in enumerate(bars):
        own = {
            layer_of(unit): weight
            for unit, weight in zip(units, tune.winner.weights[donor], strict=True)
            if part_of_layer(unit) == part
        }
        left = [layer - 0.4 + (number + 0.5) * width for layer in own]
        names = [tune.donors[donor]] if part is None or len(tune.donors) > 1 else []
        label = ", ".join((*names, *([] if part is None else [PARTS[part].title])))
        axes.bar(
            left,
            list(own.values()),
            width,
            color=BLUE if donor == 0 else _OTHER_DONORS[(donor - 1) % len(_OTHER_DONORS)],
            alpha=1.0 if part == parts[0] else _PALE,
            label=escape.figure(label),
        )
    if len(bars) > 1:
        figure.legend(loc="outside lower center", ncols=len(parts), fontsize=8, frameon=False)
    return picture(figure)


def _error(middle: float, ends: tuple[float, float] | None) -> list[list[float]] | None:
    return None if ends is None else [[middle - ends[0]], [ends[1] - middle]]
