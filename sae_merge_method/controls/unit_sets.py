"""Sets of layers and parts of layers that a selection is held against, made from sets of whole layers.

A selection opens each of its layers in some way: whole, or in some of its parts. Its rivals are other layers,
opened in the same ways: as many whole ones, as many attentions, as many MLPs. Of whole layers alone they are
what :mod:`.layer_sets` makes.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from random import Random

from sae_merge_method.controls import layer_sets
from sae_merge_method.controls.layer_sets import Layers
from sae_merge_method.layers import LayerModule, Unit, layer_of, layers_of, part_of_layer, sorted_units
from sae_merge_method.models.parts import PARTS

Units = tuple[Unit, ...]


def opens_parts(units: Iterable[Unit]) -> bool:
    """Whether any of these is a part of a layer."""
    return any(isinstance(unit, LayerModule) for unit in units)


def is_matched(n_layers: int, selected: Units, units: Units, among: Collection[int] | None = None) -> bool:
    """Whether a set may stand for ``selected`` where both were chosen by chance.

    Its layers may by :func:`.layer_sets.is_matched`, and they are opened in the same ways.

    Args:
        n_layers: The model's.
        selected: The selection.
        units: The set.
        among: Layers that such sets are drawn from; None for all.
    """
    alike = Counter(map(part_of_layer, units)) == Counter(map(part_of_layer, selected))
    return alike and layer_sets.is_matched(n_layers, layers_of(selected), layers_of(units), among)


def mean_depth(units: Collection[Unit]) -> float:
    """Mean number of the layers that are open, whole or in part, of which there is at least one."""
    return layer_sets.mean_depth(layers_of(units))


def reopened(sets: Iterable[Layers], selected: Units, there_are: Collection[Unit]) -> Iterator[Units]:
    """Sets of layers, opened in the ways of a selection, in an order drawn anew for each.

    Python's own generator is seeded by a fixed text: the sets depend on what is given alone.

    Args:
        sets: Of as many layers as the selection has.
        selected: The selection.
        there_are: All layers and parts that may be opened; sets with others are passed over.
    """
    ways, rng = _ways(selected), Random("random modules")
    for layers in sets:
        if len(set(ways)) > 1:
            rng.shuffle(ways)
        units = _opened(layers, ways)
        if all(unit in there_are for unit in units):
            yield units


def twin(n_layers: int, selected: Units, there_are: Collection[Unit]) -> Units | None:
    """Other layers at the same mean depth, opened in the ways of a selection: the first as its first is, and
    so on; None where there are not as many.

    Args:
        n_layers: The model's.
        selected: The selection.
        there_are: All layers and parts that may be opened.
    """
    ways = _ways(selected)

    def fits(place: int, layer: int) -> bool:
        return all(unit in there_are for unit in _opened((layer,), ways[place : place + 1]))

    layers = layer_sets.depth_matched(n_layers, layers_of(selected), fits)
    return None if layers is None else _opened(layers, ways)


def other_parts(selected: Units, there_are: Collection[Unit]) -> Units:
    """The same layers with the parts open that are closed in them; whole ones stay whole.

    Layers of which every part is open, or no other is there, are left out.
    """
    turned: list[Unit] = [unit for unit in selected if not isinstance(unit, LayerModule)]
    for layer in layers_of(unit for unit in selected if isinstance(unit, LayerModule)):
        modules = (LayerModule(layer, part) for part in PARTS)
        turned += [module for module in modules if module not in selected and module in there_are]
    return sorted_units(turned)


def highest(values: Mapping[Unit, float], selected: Units) -> Units:
    """As many layers, attentions and MLPs as a selection has, each those with the largest values of its kind.

    Ties go to the lower layer; whole layers come first, and their parts are not taken beside them. Fewer
    where there are not as many values.
    """
    taken: list[Unit] = []
    for part in (None, *PARTS):
        count = sum(part_of_layer(unit) == part for unit in selected)
        whole = {unit for unit in taken if part_of_layer(unit) is None}
        of_kind = [unit for unit in values if part_of_layer(unit) == part and layer_of(unit) not in whole]
        taken += sorted(of_kind, key=lambda unit: (-values[unit], layer_of(unit)))[:count]
    return sorted_units(taken)


def lowest(values: Mapping[Unit, float], selected: Units) -> Units:
    """As :func:`highest`, with the smallest values."""
    return highest({unit: -value for unit, value in values.items()}, selected)


def _ways(selected: Units) -> list[tuple[str, ...]]:
    """How each layer of a selection is opened, by depth: its open parts, none for the whole layer."""
    ways: dict[int, tuple[str, ...]] = {}
    for unit in sorted_units(selected):
        part = part_of_layer(unit)
        ways[layer_of(unit)] = (*ways.get(layer_of(unit), ()), *(() if part is None else (part,)))
    return list(ways.values())


def _opened(layers: Layers, ways: Iterable[tuple[str, ...]]) -> Units:
    units: list[Unit] = []
    for layer, parts in zip(layers, ways, strict=True):
        units += [LayerModule(layer, part) for part in parts] if parts else [layer]
    return sorted_units(units)
