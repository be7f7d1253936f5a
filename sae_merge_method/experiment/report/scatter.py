"""Gain against damage, an arm a point, each with its name where there is room."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sae_merge_method import escape
from sae_merge_method.artifacts.arm import ROLES
from sae_merge_method.artifacts.experiment import Experiment, GeneralLoss, MeasuredArm
from sae_merge_method.experiment.report.measure import change_of, gain, is_share
from sae_merge_method.reports.figure import INK, new_figure, picture

# Offsets in typographic points, and where the text then stands; tried in this order.
_PLACES = (
    (8, 0, "left", "center"),
    (-8, 0, "right", "center"),
    (0, 9, "center", "bottom"),
    (0, -9, "center", "top"),
    (8, 9, "left", "bottom"),
    (8, -9, "left", "top"),
    (-8, 9, "right", "bottom"),
    (-8, -9, "right", "top"),
    *(
        (x, side * y, horizontal, "bottom" if side > 0 else "top")
        for y in (22, 36, 50)
        for x, horizontal in ((0, "center"), (30, "left"), (-30, "right"))
        for side in (1, -1)
    ),
)
_NEAR = 6.0
"""Pixels around a point that a name should leave free."""


def place_labels(axes: Any, points: Sequence[tuple[float, float]], names: Mapping[int, str]) -> None:
    """Write names into axes that have been laid out.

    Args:
        axes: matplotlib's.
        points: All points, in data coordinates.
        names: Name by number of its point.
    """
    from matplotlib.patheffects import withStroke

    renderer = axes.figure.canvas.get_renderer()
    at = [tuple(map(float, axes.transData.transform(point))) for point in points]
    frame = axes.get_window_extent(renderer)
    taken: list[Any] = []
    for number, name in names.items():
        best: tuple[float, Any, Any] | None = None
        for x, y, horizontal, vertical in _PLACES:
            text = axes.annotate(
                name, points[number], xytext=(x, y), textcoords="offset points", fontsize=8,
                ha=horizontal, va=vertical, zorder=6,
                arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": "#777777"} if abs(y) > 9 else None,
            )  # fmt: skip
            text.set_in_layout(False)
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])
            box = _text_box(text, renderer)
            cost = _cost(box, [point for other, point in enumerate(at) if other != number], taken, frame)
            if best is None or cost < best[0]:
                if best is not None:
                    best[1].remove()
                best = (cost, text, box)
            else:
                text.remove()
            if cost == 0:
                break
        if best is not None:
            taken.append(best[2])


def _text_box(text: Any, renderer: Any) -> Any:
    from matplotlib.text import Text

    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer).padded(1.5)  # the words alone, without the line


def _cost(box: Any, points: Sequence[tuple[float, ...]], taken: Sequence[Any], frame: Any) -> float:
    """0 where the box is free; outside the axes is worst, then on other names, then on points."""
    names = sum(bool(box.overlaps(other)) for other in taken)
    outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
    near = box.padded(_NEAR)
    covered: int = sum(near.x0 < x < near.x1 and near.y0 < y < near.y1 for x, y in points)
    return 10.0 * names + 100.0 * bool(outside) + covered


_WIDE = 20.0
"""How many times the middle arm's cost the largest may be before the axis is bent."""


class _Look(NamedTuple):
    colour: str
    marker: str
    size: float
    named: bool = True
    """Whether each arm's name stands beside its point."""


# Okabe & Ito's colours; the markers tell the roles apart without any.
_LOOKS = {
    "base": _Look("#000000", "s", 7),
    "selected": _Look("#D55E00", "*", 15),
    "layers": _Look("#0072B2", "D", 7),
    "random": _Look("#999999", "o", 5, named=False),
    "amount": _Look("#009E73", "^", 8),
    "scalpel": _Look("#CC79A7", "v", 8),
    "layer": _Look("#56B4E9", ".", 7, named=False),
    "own": _Look("#E69F00", "P", 8),
    "donor": _Look("#000000", "X", 8),
}
_ANY_OTHER = _Look("#000000", "h", 8)


class _Point(NamedTuple):
    arm: MeasuredArm
    x: float
    y: float
    x_error: tuple[float, float]
    """How far the interval reaches below and above."""
    y_error: tuple[float, float]
    """The same."""

    @property
    def look(self) -> _Look:
        return _LOOKS.get(self.arm.role, _ANY_OTHER)


def caption(experiment: Experiment) -> str:
    """What the picture shows, in a sentence."""
    cost = "damage to general text" if experiment.corpus is not None else "injected energy"
    line = "; the line is all layers, damped" if experiment.damping_curve is not None else ""
    return f"Gain against {cost}, an arm a point, with {1 - experiment.alpha:.0%} intervals where known{line}"


def draw_scatter(experiment: Experiment) -> bytes:
    """The picture as PNG: same experiment, same bytes."""
    points = _points(experiment)
    figure = new_figure(8.6, 5.6)
    axes = figure.add_subplot()
    axes.axhline(0, color=INK, linewidth=0.6, zorder=1)
    axes.axvline(0, color=INK, linewidth=0.6, zorder=1)
    drawn: dict[str, Any] = {}
    for point in points:
        look = point.look
        drawn[point.arm.role] = axes.errorbar(
            point.x, point.y, xerr=_ends(point.x_error), yerr=_ends(point.y_error),
            fmt=look.marker, markersize=look.size, color=look.colour, markeredgecolor="white",
            markeredgewidth=0.5, elinewidth=0.8, ecolor=(look.colour, 0.35),
            zorder=4 if point.arm.role == "selected" else 3,
        )  # fmt: skip
    _line(axes, experiment, points)
    _axes(axes, experiment, points)
    roles = [role for role in ROLES if role in drawn]
    figure.legend(
        [drawn[role] for role in roles], [ROLES[role] for role in roles],
        loc="outside lower center", ncols=4, fontsize=8, frameon=False,
    )  # fmt: skip
    figure.draw_without_rendering()  # until then the axes have no place to put labels in
    names = {number: escape.figure(point.arm.name) for number, point in enumerate(points) if point.look.named}
    place_labels(axes, [(point.x, point.y) for point in points], names)
    return picture(figure)


def _points(experiment: Experiment) -> list[_Point]:
    """All arms that have a place, in percent points where scores are shares."""
    scale = 100 if is_share(experiment) else 1
    points = []
    for arm in experiment.arms:
        x, x_error = arm.share, (0.0, 0.0)
        if experiment.corpus is not None:
            if arm.general is None:
                continue
            x, x_error = arm.damage, _reach(arm.general, 1 - experiment.alpha)
        low, high = arm.overall.interval or (arm.overall.delta or 0.0,) * 2
        delta = arm.overall.delta or 0.0
        reach = (delta - low, high - delta) if experiment.higher_is_better else (high - delta, delta - low)
        y = gain(arm, experiment.higher_is_better)
        points.append(_Point(arm, x, scale * y, x_error, (scale * reach[0], scale * reach[1])))
    return points


def _line(axes: Any, experiment: Experiment, points: Sequence[_Point]) -> None:
    """All layers at smaller weights: what a choice of layers has to beat."""
    curve = experiment.damping_curve
    if curve is None:
        return
    at = {point.arm.name: (point.x, point.y) for point in points}
    line = [at[name] for name in curve.arms if name in at]
    axes.plot(*zip(*line, strict=True), color=_LOOKS["amount"].colour, linewidth=1.2, alpha=0.7, zorder=2)


def _reach(loss: GeneralLoss, level: float) -> tuple[float, float]:
    """How far the interval of a damage reaches below and above it; 0 where it has no error."""
    change = change_of(loss)
    ends = change.interval(level) if change is not None else None
    return (
        (0.0, 0.0) if change is None or ends is None else (change.delta - ends.low, ends.high - change.delta)
    )


def _ends(error: tuple[float, float]) -> list[list[float]] | None:
    """As matplotlib takes an interval; None for none."""
    return [[end] for end in error] if any(error) else None


def _axes(axes: Any, experiment: Experiment, points: list[_Point]) -> None:
    unit = " in points" if is_share(experiment) else ""
    metric = experiment.metric.partition(",")[0]
    axes.set_ylabel(f"gain: {escape.figure(metric)} against the base{unit}")
    if experiment.corpus is None:
        axes.set_xlabel("injected energy, as a share of the whole task vector's")
    else:
        axes.set_xlabel("damage: change of the loss on general text, nats a token")
        costs = sorted(abs(point.x) for point in points if point.x)
        middle = costs[len(costs) // 2] if costs else 0.0
        if costs and costs[-1] > _WIDE * middle:
            _bend(axes, straight=2 * middle)
            axes.set_xlabel("damage: change of the loss on general text, nats a token (far end compressed)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.06)


def _bend(axes: Any, straight: float) -> None:
    """A linear axis up to about ``straight`` either way, logarithmic beyond, with a tick a decade there."""
    from matplotlib.ticker import FixedLocator, FuncFormatter

    exponent = math.floor(math.log10(straight))
    end = next(step for step in (1, 2, 5, 10) if step * 10**exponent >= straight) * 10**exponent
    ticks = [end / 2, *(end * 10**decade for decade in range(6))]
    axes.set_xscale("symlog", linthresh=end, linscale=2)
    axes.xaxis.set_major_locator(FixedLocator([-tick for tick in reversed(ticks)] + [0, *ticks]))
    axes.xaxis.set_minor_locator(FixedLocator([]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
