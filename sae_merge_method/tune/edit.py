"""One edit: a weight for every donor in every layer, or in the attention and the MLP of every layer. What it
does is measured elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sae_merge_method.in_memory.weights import Weights, by_unit
from sae_merge_method.layers import LayerModule, Unit
from sae_merge_method.models.parts import PARTS

DIGITS = 4
"""Decimal places of a weight: what is measured is what a recipe can say."""
Shape = npt.NDArray[np.float64]
"""Weights up to a common factor: (donors, layers), or (donors, layers, parts) by module, whose parts are in
the order of ``PARTS``."""


@dataclass(frozen=True)
class Edit:
    """Weights of task vectors, as a recipe will say them."""

    weights: tuple[tuple[float, ...], ...]
    """(donors, units)"""
    units: tuple[Unit, ...]
    """What weights are of: all layers, or all modules; then what of a layer is in neither stays the base's,
    as where a gate opens modules."""

    @classmethod
    def of(cls, weights: Shape) -> "Edit":
        """Weights rounded to as many digits as a recipe gets; what lies below 0 counts as 0."""
        rounded = np.round(np.maximum(weights, 0.0), DIGITS) + 0.0
        rows = rounded.reshape(len(rounded), -1).tolist()
        return cls(tuple(tuple(row) for row in rows), units_of(*rounded.shape[1:]))

    @classmethod
    def none(cls, n_donors: int, n_layers: int) -> "Edit":
        """The base."""
        return cls.of(np.zeros((n_donors, n_layers)))

    @property
    def is_by_module(self) -> bool:
        """Whether weights are of modules."""
        return any(isinstance(unit, LayerModule) for unit in self.units)

    @property
    def array(self) -> Shape:
        """(donors, layers), or (donors, layers, parts) by module."""
        flat = np.array(self.weights)
        return flat.reshape(len(flat), -1, len(PARTS)) if self.is_by_module else flat

    @property
    def weight_of_all(self) -> float | None:
        """The weight of every layer of every donor, where all have the same; else None."""
        weights = {weight for row in self.weights for weight in row}
        return None if self.is_by_module or len(weights) > 1 else weights.pop()

    @property
    def layers(self) -> tuple[Unit, ...]:
        """Layers, or modules, that any donor gives to, in the order of depth."""
        rows = zip(self.units, *self.weights, strict=True)
        return tuple(unit for unit, *weights in rows if any(weights))

    def to_weights(self) -> Weights:
        """For a model in memory."""
        return by_unit(*(dict(zip(self.units, row, strict=True)) for row in self.weights))


def units_of(n_layers: int, n_parts: int | None = None) -> tuple[Unit, ...]:
    """The units of a flattened (layers,) or (layers, parts), in the order of depth."""
    if n_parts is None:
        return tuple(range(n_layers))
    return tuple(LayerModule(layer, part) for layer in range(n_layers) for part in PARTS)


def shuffled(edit: Edit, order: Sequence[int]) -> Edit:
    """The same weights in other layers: layer l gets what ``order[l]`` had."""
    return Edit.of(edit.array[:, list(order)])


def exchanged(edit: Edit) -> Edit:
    """The same weights of modules in the other part of their layer."""
    return Edit.of(edit.array[:, :, ::-1])
