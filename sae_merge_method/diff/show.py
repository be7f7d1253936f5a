"""A difference of two checkpoints as a table, and as a heat map of layers and kinds of tensors."""

import math
from collections import Counter

from sae_merge_method import escape
from sae_merge_method.artifacts.difference import Difference, StoredTwice, TensorDifference
from sae_merge_method.layers import LayerModule, Unit, named_units
from sae_merge_method.models.parts import part_of
from sae_merge_method.reports import numbers
from sae_merge_method.reports.figure import new_figure, picture
from sae_merge_method.reports.grid import Cell, Grid, as_text, with_content
from sae_merge_method.reports.notebook import View

MOST = 40
"""Changed tensors that a table lists, unless it is asked for all."""


def difference_text(difference: Difference, most: int | None = MOST) -> str:
    """The changed tensors, a line each, and one line that sums up.

    Args:
        difference: What to show.
        most: How many changed tensors to list, those that moved most; None for all, in order.
    """
    view = difference_view(difference, most)
    return "\n".join([*map(as_text, view.grids), *map(escape.terminal_line, view.tail)])


def difference_view(difference: Difference, most: int | None = MOST) -> View:
    """The same as a table and the lines below it."""
    changed = difference.changed
    listed = list(changed)
    if most is not None and len(changed) > most:
        by_move = sorted(changed, key=lambda tensor: (-_move(tensor), tensor.name))
        moved_most = {tensor.name for tensor in by_move[:most]}
        listed = [tensor for tensor in changed if tensor.name in moved_most]
    dtypes = difference.dtypes
    grid = Grid(
        ("tensor", "relative", "largest", "changed", "stored"),
        tuple(_cells(tensor, dtypes.get(tensor.name)) for tensor in listed),
        words=frozenset({"tensor", "stored"}),
    )
    left_out = len(changed) - len(listed)
    lines = [f"... and {left_out} more that moved less (--all lists them)"] if left_out else []
    how = {one.name: _how_stored(one) for one in difference.stored}
    for title, names in _unmatched(difference).items():
        lines += [f"{title}: {name}{how.get(name, '')}" for name in names]
    return View((with_content(grid),) if listed else (), tail=(*lines, summary(difference)))


def summary(difference: Difference) -> str:
    """One line: how many tensors differ, and in which layers; how many in their dtype alone."""
    if difference.identical:
        return f"identical: {len(difference.tensors)} tensors, byte for byte"
    changed, total = difference.changed, len(difference.tensors)
    unmatched = [f"{len(names)} {title}" for title, names in _unmatched(difference).items() if names]
    if not total:
        nothing = "no tensor that both have can be compared"
        if not difference.not_comparable:
            nothing = "nothing is shared: no tensor of A is called as one of B"
        return ", ".join([nothing, *unmatched])
    dtypes = difference.dtypes
    words = [f"{len(changed)} of {total} shared tensors differ{' in values' if dtypes else ''}"]
    units = _changed_units(difference)
    words += [f"in {named_units(units)}"] if units else []
    elsewhere = sum(tensor.layer is None for tensor in changed)
    words += [f"{elsewhere} of them outside the decoder layers"] if elsewhere else []
    of_changed = Counter(dtypes[tensor.name] for tensor in changed if tensor.name in dtypes)
    alone = Counter(dtypes[one.name] for one in difference.tensors if one.name in dtypes) - of_changed
    words += [f"{count} of them {_stored(*pair)}" for pair, count in of_changed.items() if pair not in alone]
    more = [
        f"{count} {'more ' if changed else ''}{'are' if count > 1 else 'is'} {_stored(*pair)}"
        for pair, count in alone.items()
    ]
    return ", ".join(["; ".join([", ".join(words), *more]), *unmatched])


def _stored(first: str, second: str) -> str:
    return f"stored as {second} in place of {first}"


def _how_stored(one: StoredTwice) -> str:
    same = one.first == one.second
    return f" ({one.first} in both)" if same else f" ({one.first} in A, {one.second} in B)"


def _changed_units(difference: Difference) -> list[Unit]:
    """The layers that differ; in place of one that differs in one of its parts alone, that part."""
    parts: dict[int, set[str | None]] = {}
    for tensor in difference.changed:
        if tensor.layer is not None and tensor.part is not None:
            parts.setdefault(tensor.layer, set()).add(part_of(tensor.part))
    alone = {layer: next(iter(names)) for layer, names in parts.items() if len(names) == 1}
    return [layer if (part := alone.get(layer)) is None else LayerModule(layer, part) for layer in parts]


def heat_map(difference: Difference, title: str) -> bytes:
    """PNG of the relative change by layer and kind of tensor; what did not change stays white."""
    from matplotlib.colors import LogNorm

    parts = list(dict.fromkeys(tensor.part for tensor in difference.tensors if tensor.part is not None))
    n_layers = 1 + max((tensor.layer or 0 for tensor in difference.tensors), default=0)
    cells = [[math.nan] * n_layers for _ in parts]
    for tensor in difference.changed:
        if tensor.layer is not None and tensor.part is not None and 0 < tensor.relative < math.inf:
            cells[parts.index(tensor.part)][tensor.layer] = tensor.relative
    seen = [value for row in cells for value in row if not math.isnan(value)]
    # Whole decades: pictures of like edits have like colours.
    low = math.floor(math.log10(min(seen, default=0.1)))
    high = max(low + 1, math.ceil(math.log10(max(seen, default=1.0))))
    figure = new_figure(max(5.0, 2.8 + 0.28 * n_layers), max(2.2, 1.2 + 0.27 * len(parts)), constrained=False)
    axes = figure.add_subplot()
    image = axes.imshow(
        cells or [[math.nan]],
        aspect="auto",
        cmap="viridis_r",
        norm=LogNorm(10.0**low, 10.0**high),
        interpolation="nearest",
    )
    axes.set_yticks(
        range(len(parts)), [escape.figure(part.removesuffix(".weight")) for part in parts], fontsize=7
    )
    step = max(1, math.ceil(n_layers / 20))
    axes.set_xticks(range(0, n_layers, step), [str(layer) for layer in range(0, n_layers, step)], fontsize=7)
    axes.set_xlabel("layer", fontsize=8)
    axes.set_title(escape.figure(title), fontsize=8)
    bar = figure.colorbar(image, ax=axes)
    bar.set_label("||B - A|| / ||A||", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    figure.tight_layout()
    return picture(figure)


def _cells(tensor: TensorDifference, dtypes: tuple[str, str] | None) -> tuple[Cell, ...]:
    changed = tensor.changed / max(tensor.values, 1)
    return (
        Cell(tensor.name),
        Cell(numbers.magnitude(tensor.relative), tensor.relative),
        Cell(numbers.magnitude(tensor.largest), tensor.largest),
        Cell(numbers.score(changed, share=True), changed),
        Cell(" -> ".join(dtypes or ())),
    )


def _unmatched(difference: Difference) -> dict[str, tuple[str, ...]]:
    """The tensors that were not compared, under what is said of them."""
    return {
        "only in A": difference.only_in_first,
        "only in B": difference.only_in_second,
        "not comparable": difference.not_comparable,
    }


def _move(tensor: TensorDifference) -> float:
    return math.inf if math.isnan(tensor.relative) else tensor.relative
