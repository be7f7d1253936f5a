"""One edit: a weight for every donor in every layer. What it does is measured elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sae_merge_method.in_memory.weights import Weights, by_layer

DIGITS = 4
"""Decimal places of a weight: what is measured is what a recipe can say."""
Shape = npt.NDArray[np.float64]
"""(donors, layers) weights up to a common factor."""


@dataclass(frozen=True)
class Edit:
    """Weights of task vectors, as a recipe will say them."""

    weights: tuple[tuple[float, ...], ...]
    """(donors, layers)"""

    @classmethod
    def of(cls, weights: Shape) -> "Edit":
        """Weights rounded to as many digits as a recipe gets; what lies below 0 counts as 0."""
        rounded = np.round(np.maximum(weights, 0.0), DIGITS) + 0.0
        return cls(tuple(tuple(row) for row in rounded.tolist()))

    @classmethod
    def none(cls, n_donors: int, n_layers: int) -> "Edit":
        """The base."""
        return cls.of(np.zeros((n_donors, n_layers)))

    @property
    def array(self) -> Shape:
        """(donors, layers)"""
        return np.array(self.weights)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that any donor gives to, ascending."""
        return tuple(np.flatnonzero(self.array.any(0)).tolist())

    def to_weights(self) -> Weights:
        """For a model in memory."""
        return by_layer(*(dict(enumerate(row)) for row in self.weights))


def shuffled(edit: Edit, order: Sequence[int]) -> Edit:
    """The same weights in other layers: layer l gets what ``order[l]`` had."""
    return Edit.of(edit.array[:, list(order)])
