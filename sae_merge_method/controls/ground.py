"""What the arms of a recipe are made from: its layers, their energies, scores and features, and settings."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sae_merge_method.controls.energies import LayerEnergies
from sae_merge_method.controls.matching import Match
from sae_merge_method.controls.samples import sums_over
from sae_merge_method.controls.unit_sets import Units
from sae_merge_method.geometry.realised import EditSums
from sae_merge_method.layers import Unit, unit_of_tensor
from sae_merge_method.recipe.precision import AS_STORED, Precision


class NoArmError(Exception):
    """A row has no arm for this recipe; the message says why. Never leaves this package."""


@dataclass(frozen=True)
class Ground:
    """What the arms are made from: a recipe with its energies, and a diagnosis."""

    selected: Units
    """The recipe's layers, whole or in part."""
    n_layers: int
    energies: LayerEnergies
    scores: Mapping[Unit, float]
    """Of every layer, or part of one, by the score that layers are chosen by."""
    scalpel: Mapping[str, Any]
    """Parameters of the scalpel arms but ``mode``."""
    weight: float | None = None
    """The recipe's weight; None where parts of a layer have different ones."""
    random_layers: int = 0
    """How many sets of layers to draw."""
    random_spread: int = 0
    """How many sets of layers without neighbours to draw."""
    damping: tuple[float, ...] = ()
    """Weights at which all layers, or all but the last, are injected."""
    all_but_the_last: int = 0
    """How many of the last layers to leave out."""
    every_nth: int = 0
    """One layer of so many; 0 for no such arm."""
    windows: int = 0
    """Blocks into which the depth is cut."""
    matches: Mapping[str, Match] = field(default_factory=dict)
    """By arm that is to have another's energy: how it gets that."""
    alpha: Callable[[str], float] = lambda name: 1.0
    """The recipe's weight by a tensor's name."""
    precision: Precision = AS_STORED
    """In which types the recipe's edits are computed and written."""

    @property
    def energy(self) -> float:
        """Squared norm of what the recipe itself injects."""
        return self.energies.of(self.selected)

    @property
    def changed(self) -> Collection[Unit]:
        """Layers, and parts of layers, in which the recipe's weights would inject something: elsewhere a
        rival would be the base."""
        return {unit for unit, energy in self.energies.injected.items() if energy}

    def factor(self, arm: str, own: float, others: float) -> float:
        """Times the weights of an arm that is to have another's energy.

        Args:
            arm: Its name.
            own: What it is to inject unscaled.
            others: What the other is to inject.
        """
        match = self.matches.get(arm)
        return math.sqrt(others / own) if match is None else match.factor

    def realised(
        self,
        mode: str,
        layers: Units,
        factor: float = 1.0,
        weight: float | None = None,
        *,
        wide: bool = False,
    ) -> EditSums:
        """What is stored of an arm, by samples.

        Args:
            mode: Of a scalpel, or raw.
            layers: The arm's.
            factor: Times the recipe's weights.
            weight: In place of them, where it is given.
            wide: Whether the arm is written as float32.
        """
        precision = replace(self.precision, written="float32") if wide else self.precision
        samples = [
            one for one in self.energies.samples.get(mode, ()) if unit_of_tensor(layers, one.name) is not None
        ]
        return sums_over(
            samples, lambda name: self.alpha(name) * factor if weight is None else weight, precision
        )
