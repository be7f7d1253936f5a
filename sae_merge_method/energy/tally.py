"""Sums over tensors, from which kept energy, chance and ratio follow for any group of them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.energy_report import RandomSubspace
from sae_merge_method.geometry.energy import prediction_interval

LEVEL = 0.99
"""Of the interval of random subspaces: with dozens of layers 0.95 would leave some out by chance."""


@dataclass
class Tally:
    """Energies of a group of tensors."""

    seeds: int
    energy: float = 0.0
    base: float = 0.0
    kept: float = 0.0
    random: npt.NDArray[np.float64] = field(init=False)
    """Kept by each random subspace."""
    with_axis: float = 0.0
    """Energy of the tensors that have a residual axis."""
    expected: float = 0.0
    """Of these, energy times r/d."""
    share: float | None = None
    """r/d of the latest tensor with an axis: the chance level where nothing has energy."""

    def __post_init__(self) -> None:
        self.random = np.zeros(self.seeds)

    def add(self, energy: float, base: float) -> None:
        """Count a tensor."""
        self.energy += energy
        self.base += base

    def add_kept(self, energy: float, kept: npt.NDArray[np.float64], share: float) -> None:
        """Count what a tensor with a residual axis keeps.

        Args:
            energy: The tensor's.
            kept: (1 + seeds,) in the features' span, then in each random subspace.
            share: r/d.
        """
        self.kept += float(kept[0])
        self.random += kept[1:]
        self.with_axis += energy
        self.expected += energy * share
        self.share = share

    def figures(self) -> dict[str, Any]:
        """The fields of :class:`~sae_merge_method.artifacts.energy_report.Energy`."""
        chance = self.expected / self.with_axis if self.with_axis else self.share
        kept = self.kept / self.energy if self.energy else None
        measured = self.seeds and self.with_axis
        return {
            "energy": self.energy,
            "relative_norm": (self.energy / self.base) ** 0.5 if self.base else None,
            "kept": kept,
            "chance": chance,
            "ratio": kept / chance if kept is not None and chance else None,
            "random": self._random() if measured else None,
        }

    def _random(self) -> RandomSubspace:
        interval = prediction_interval(self.random / self.energy, LEVEL)
        low, high = max(0.0, interval.low), min(1.0, interval.high)  # a share cannot lie beyond
        return RandomSubspace(seeds=self.seeds, level=LEVEL, mean=interval.mean, low=low, high=high)
