"""Names beside points, put where they cover neither each other nor a point as far as there is room."""

from collections.abc import Mapping, Sequence
from typing import Any

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
        names: Name by place in ``points``.
    """
    from matplotlib.patheffects import withStroke

    renderer = axes.figure.canvas.get_renderer()
    at = [tuple(map(float, axes.transData.transform(point))) for point in points]
    frame = axes.get_window_extent(renderer)
    taken: list[Any] = []
    for place, name in names.items():
        best: tuple[float, Any, Any] | None = None
        for x, y, horizontal, vertical in _PLACES:
            text = axes.annotate(
                name, points[place], xytext=(x, y), textcoords="offset points", fontsize=8,
                ha=horizontal, va=vertical, zorder=6,
                arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": "#777777"} if abs(y) > 9 else None,
            )  # fmt: skip
            text.set_in_layout(False)
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])
            box = _text_box(text, renderer)
            cost = _cost(box, [point for other, point in enumerate(at) if other != place], taken, frame)
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
