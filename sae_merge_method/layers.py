"""Decoder layers, whole or in part, as people write them: ``"9, 11.attn, 12-14.mlp"``.

The gate is always a *string* in a recipe: mergekit reads a YAML list as a gradient
and interpolates it over the layers of every module. A whole layer is its number everywhere; what of a layer
is ``attn`` and what is ``mlp`` is told by :mod:`sae_merge_method.models.parts`.
"""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple, TypeVar

from sae_merge_method.errors import UsageError
from sae_merge_method.models.parts import PARTS, part_of
from sae_merge_method.models.tensor_names import LayerPart, layer_part

# Five digits are more than any model has, and a range of them still fits in memory.
_ITEM = re.compile(r"(?:(\d{1,5})(?:\s*-\s*(\d{1,5}))?|(all))(?:\.([A-Za-z_]\w*))?", re.ASCII)
_ALL = "all"
_WHOLE = ""


class LayerModule(NamedTuple):
    """One part of a decoder layer, its attention or its MLP."""

    layer: int
    part: str
    """Of :data:`~sae_merge_method.models.parts.PARTS`."""

    def __str__(self) -> str:
        return f"{self.layer}.{self.part}"


Unit = int | LayerModule
"""What a gate opens at once: a whole layer, by its number, or one part of a layer."""
UnitT = TypeVar("UnitT", bound=Unit)
"""Units of one kind: where all are whole layers, what is made of them is of whole layers too."""


def layer_of(unit: Unit) -> int:
    """The layer that a unit is, or lies in."""
    return unit.layer if isinstance(unit, LayerModule) else unit


def part_of_layer(unit: Unit) -> str | None:
    """Which part of its layer a unit is; None for a whole layer."""
    return unit.part if isinstance(unit, LayerModule) else None


def by_depth(unit: Unit) -> tuple[int, str]:
    """The key by which units are sorted: by layer, a whole one before its parts."""
    return layer_of(unit), part_of_layer(unit) or _WHOLE


def sorted_units(units: Iterable[Unit]) -> tuple[Unit, ...]:
    """The same units in the order of depth, each once; a whole layer takes its parts in.

    Attention and MLP together are not the whole layer: norms that stand between them stay closed.
    """
    distinct = set(units)
    kept = (unit for unit in distinct if not isinstance(unit, LayerModule) or unit.layer not in distinct)
    return tuple(sorted(kept, key=by_depth))


def layers_of(units: Iterable[Unit]) -> tuple[int, ...]:
    """The layers that units are, or lie in, ascending."""
    return tuple(sorted(set(map(layer_of, units))))


def unit_of(units: Collection[Unit], within: LayerPart) -> Unit | None:
    """The unit among these that a tensor belongs to, by its place in the decoder; None where it is closed."""
    if within.layer in units:
        return within.layer
    part = part_of(within.part)
    module = None if part is None else LayerModule(within.layer, part)
    return module if module in units else None


def unit_of_tensor(units: Collection[Unit], tensor_name: str) -> Unit | None:
    """The same by a checkpoint's full name for it; None outside the decoder's layers too."""
    within = layer_part(tensor_name)
    return None if within is None else unit_of(units, within)


def open_parts(units: Iterable[Unit]) -> dict[int, frozenset[str]]:
    """By layer that these open in part alone, its open parts."""
    parts: dict[int, frozenset[str]] = {}
    for unit in sorted_units(units):
        if isinstance(unit, LayerModule):
            parts[unit.layer] = parts.get(unit.layer, frozenset()) | {unit.part}
    return parts


def how_open(layer: int, units: Collection[Unit]) -> str:
    """How much of a layer these open, for a table's cell: "yes", its open parts, or nothing."""
    return "yes" if layer in units else ", ".join(sorted(open_parts(units).get(layer, ())))


def parse_units(text: str, n_layers: int | None = None) -> tuple[Unit, ...]:
    """Read ``"9, 11.attn, 12-14.mlp"``: layers and parts of layers in order of depth.

    Each stands there once, as in :func:`sorted_units`.

    Args:
        text: Comma-separated layers and ranges of them (both ends included, ``"all"`` for every one), each
            whole or with the name of a part behind it.
        n_layers: Number of decoder layers of the model, to check against when known; "all" needs it.

    Raises:
        UsageError: The text is empty or malformed, or names a layer that the model lacks or a part that
            layers do not have.
    """
    return sorted_units(_read(text, n_layers, 'layers like "9, 11-13, 22" or parts of them like "11.attn"'))


def parse_layers(text: str, n_layers: int | None = None) -> tuple[int, ...]:
    """Read ``"9, 11-13, 22"`` as ``(9, 11, 12, 13, 22)``; ranges include both ends, and all layers are whole.

    Args:
        text: Comma-separated layer numbers and ranges, or ``"all"`` (needs ``n_layers``).
        n_layers: Number of decoder layers of the model, to check against when known.

    Raises:
        UsageError: The text is empty or malformed, or names a layer the model lacks, or a part of one.
    """
    units = _read(text, n_layers, 'layers like "9, 11-13, 22"')
    parts = sorted_units(unit for unit in units if isinstance(unit, LayerModule))
    if parts:
        raise UsageError(f"expected whole layers, got {format_layers(parts)} in {text!r}")
    return layers_of(units)


def _read(text: str, n_layers: int | None, expected: str) -> list[Unit]:
    units: list[Unit] = []
    for item in text.split(","):
        match = _ITEM.fullmatch(item.strip())
        if match is None:
            raise UsageError(f"expected {expected}, got {text!r}")
        part = match[4]
        if part is not None and part not in PARTS:
            raise UsageError(
                f"a layer has no part {part!r}, in {text!r}: expected {' or '.join(PARTS)}, such as 11.attn"
            )
        layers = _range(match, text, n_layers, expected)
        units += layers if part is None else [LayerModule(layer, part) for layer in layers]
    return units


def _range(match: re.Match[str], text: str, n_layers: int | None, expected: str) -> range:
    if match[3]:
        if n_layers is None:
            raise UsageError(f'"{_ALL}" needs the number of layers of the model; expected {expected}')
        return range(n_layers)
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise UsageError(f"layer range {match[0]!r} runs backwards, in {text!r}")
    if n_layers is not None and last >= n_layers:
        raise UsageError(
            f"layer {last} is out of range in {text!r}: the model has {n_layers} layers, 0 to {n_layers - 1}"
        )
    return range(first, last + 1)


def format_layers(units: Iterable[Unit]) -> str:
    """Write units the way :func:`parse_units` reads them, joining runs of three or more.

    One set of units has one text.
    """
    runs: dict[tuple[int, str], list[int]] = {}
    open_runs: dict[str, list[int]] = {}
    for layer, part in map(by_depth, sorted_units(units)):
        run = open_runs.get(part)
        if run is not None and layer == run[-1] + 1:
            run.append(layer)
        else:
            open_runs[part] = runs[layer, part] = [layer]
    items: list[tuple[int, str, str]] = []
    for (_, part), run in runs.items():
        behind = f".{part}" if part else ""
        if len(run) > 2:
            items.append((run[0], part, f"{run[0]}-{run[-1]}{behind}"))
        else:
            items += [(layer, part, f"{layer}{behind}") for layer in run]
    return ", ".join(text for _, _, text in sorted(items))


def named_units(units: Collection[Unit], n_layers: int | None = None) -> str:
    """Units with a word before them: "layers 9, 11-13", "layers 9, 11.attn", "modules 11.attn, 13.mlp".

    Args:
        units: Layers, whole or in part.
        n_layers: Of the model, to be said behind them: "layers 9 of 26", "modules 11.attn of 26 layers".
    """
    parts_alone = units_word(units) == "modules"
    of_all = "" if n_layers is None else f" of {n_layers}{' layers' * parts_alone}"
    return f"{'modules' if parts_alone else 'layers'} {format_layers(units)}{of_all}"


def units_word(units: Collection[Unit]) -> str:
    """What these are, in words: layers, modules, or layers and modules."""
    modules = sum(isinstance(unit, LayerModule) for unit in units)
    if not modules:
        return "layers"
    return "modules" if modules == len(units) else "layers and modules"
