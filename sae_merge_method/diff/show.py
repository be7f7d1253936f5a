"""A difference of two checkpoints as text, as JSON values, and as a heat map."""

import math
from io import BytesIO
from typing import Any

from sae_merge_method.diff.diff import Difference, TensorDifference, kinds
from sae_merge_method.layers import format_layers


def diff_table(found: Difference, most: int | None = 40) -> str:
    """The changed tensors, a line each, and one line that sums up.

    Args:
        found: The difference.
        most: How many changed tensors to list, those that moved most; None for all, in order.
    """
    changed = found.changed
    listed = list(changed)
    if most is not None and len(changed) > most:
        moved = {t.name for t in sorted(changed, key=lambda tensor: (-_weight(tensor), tensor.name))[:most]}
        listed = [tensor for tensor in changed if tensor.name in moved]
    width = max((len(tensor.name) for tensor in listed), default=0)
    lines = [f"{'tensor':<{width}}  {'relative':>9}  {'largest':>9}  {'changed':>8}"] if listed else []
    lines += [
        f"{t.name:<{width}}  {t.relative:9.3g}  {t.largest:9.3g}  {t.changed / max(t.values, 1):8.1%}"
        for t in listed
    ]
    if len(listed) < len(changed):
        lines.append(f"... and {len(changed) - len(listed)} more that moved less (--all lists them)")
    for title, names in (
        ("only in A", found.only_in_a),
        ("only in B", found.only_in_b),
        ("not comparable", found.reshaped),
    ):
        lines += [f"{title}: {name}" for name in names]
    return "\n".join([*lines, summary(found)])


def summary(found: Difference) -> str:
    """One line: how many tensors differ, and in which layers."""
    if found.identical:
        return f"identical: {len(found.tensors)} tensors, byte for byte"
    layers = sorted({tensor.place.layer for tensor in found.changed if tensor.place})
    elsewhere = sum(tensor.place is None for tensor in found.changed)
    words = [f"{len(found.changed)} of {len(found.tensors)} shared tensors differ"]
    words += [f"in layers {format_layers(layers)}"] if layers else []
    words += [f"{elsewhere} of them outside the decoder layers"] if elsewhere else []
    for count, what in (
        (len(found.only_in_a), "only in A"),
        (len(found.only_in_b), "only in B"),
        (len(found.reshaped), "not comparable"),
    ):
        words += [f"{count} {what}"] if count else []
    return ", ".join(words)


def diff_values(found: Difference) -> dict[str, Any]:
    """The difference as plain values; what is not finite becomes None."""
    return {
        "identical": found.identical,
        "tensors": [
            {
                "name": tensor.name,
                "layer": tensor.place.layer if tensor.place else None,
                "same_bytes": tensor.same_bytes,
                "values": tensor.values,
                "changed": tensor.changed,
                "relative": _finite(tensor.relative),
                "largest": _finite(tensor.largest),
            }
            for tensor in found.tensors
        ],
        "only_in_a": list(found.only_in_a),
        "only_in_b": list(found.only_in_b),
        "not_comparable": list(found.reshaped),
    }


def heat_map(found: Difference, title: str) -> bytes:
    """PNG of the relative change by layer and kind of tensor; what did not change stays white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    rows = kinds(found.tensors)
    layers = 1 + max((tensor.place.layer for tensor in found.tensors if tensor.place), default=0)
    cells = [[math.nan] * layers for _ in rows]
    for tensor in found.changed:
        if tensor.place and math.isfinite(tensor.relative) and tensor.relative > 0:
            cells[rows.index(tensor.place.part)][tensor.place.layer] = tensor.relative
    seen = [value for row in cells for value in row if not math.isnan(value)]
    # Whole decades: pictures of like edits have like colours.
    low = math.floor(math.log10(min(seen, default=0.1)))
    high = max(low + 1, math.ceil(math.log10(max(seen, default=1.0))))
    scale = LogNorm(10.0**low, 10.0**high)
    figure = Figure(figsize=(max(5.0, 2.8 + 0.28 * layers), max(2.2, 1.2 + 0.27 * len(rows))), dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(
        cells or [[math.nan]], aspect="auto", cmap="viridis_r", norm=scale, interpolation="nearest"
    )
    axes.set_yticks(range(len(rows)), [row.removesuffix(".weight") for row in rows], fontsize=7)
    step = max(1, math.ceil(layers / 20))
    axes.set_xticks(range(0, layers, step), [str(layer) for layer in range(0, layers, step)], fontsize=7)
    axes.set_xlabel("layer", fontsize=8)
    axes.set_title(title, fontsize=8)
    bar = figure.colorbar(image, ax=axes)
    bar.set_label("||B - A|| / ||A||", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    figure.tight_layout()
    picture = BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _weight(tensor: TensorDifference) -> float:
    return math.inf if math.isnan(tensor.relative) else tensor.relative


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
