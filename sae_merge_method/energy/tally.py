"""Energies of a group of tensors summed up: kept, by chance, and by other features."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.energy_report import OtherFeatures, RandomSubspace
from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.geometry.realised import NOTHING, EditSums
from sae_merge_method.statistics.curves import excess
from sae_merge_method.statistics.intervals import prediction_interval
from sae_merge_method.statistics.shares import RandomShare

LEVEL = 0.99
"""Of the intervals of chance: with dozens of layers 0.95 would leave some out by chance."""


@dataclass
class Tally:
    """Energies of a group of tensors."""

    draws: int
    energy: float = 0.0
    base: float = 0.0
    kept: float = 0.0
    others: npt.NDArray[np.float64] = field(init=False)
    """Kept by the span of each draw of other features."""
    with_axis: float = 0.0
    """Energy of the tensors that have a residual axis."""
    expected: float = 0.0
    """Of these, energy times r/d."""
    variance: float = 0.0
    """Of what random subspaces keep."""
    stored: EditSums = NOTHING
    """What rounding leaves of the weighted task vector."""
    stored_part: EditSums = NOTHING
    """What it leaves of the part that the features span."""
    share: float | None = None
    """r/d of the latest tensor with an axis: the chance level where nothing has energy."""

    def __post_init__(self) -> None:
        self.others = np.zeros(self.draws)

    def add(self, energy: float, base: float, stored: EditSums) -> None:
        """Count a tensor, with what rounding leaves of it."""
        self.energy += energy
        self.base += base
        self.stored = self.stored.plus(stored)

    def add_kept(self, energy: float, kept: npt.NDArray[np.float64], share: float, stored: EditSums) -> None:
        """Count what a tensor with a residual axis keeps.

        Args:
            energy: The tensor's.
            kept: (1 + draws,) in the features' span, then in that of each draw of others.
            share: r/d.
            stored: What rounding leaves of what the features' span keeps.
        """
        self.stored_part = self.stored_part.plus(stored)
        self.kept += float(kept[0])
        self.others += kept[1:]
        self.with_axis += energy
        self.expected += energy * share
        self.share = share

    def figures(self) -> dict[str, Any]:
        """The fields of :class:`~sae_merge_method.artifacts.energy_report.Energy`."""
        kept = self.kept / self.energy if self.energy else None
        chance = self.expected / self.energy if self.with_axis else self.share
        measured = kept is not None and self.with_axis > 0
        return {
            "energy": self.energy,
            "relative_norm": (self.energy / self.base) ** 0.5 if self.base else None,
            "kept": kept,
            "chance": chance,
            "ratio": kept / chance if kept is not None and chance else None,
            "stored": _realised(self.stored),
            "stored_part": _realised(self.stored_part),
            "random": self._random() if measured else None,
            "others": self._others() if measured and self.draws and np.isfinite(self.others).all() else None,
        }

    def _random(self) -> RandomSubspace:
        drawn = RandomShare(self.expected / self.energy, self.variance**0.5 / self.energy)
        low, high = drawn.interval(LEVEL)
        return RandomSubspace(
            mean=drawn.mean, sd=drawn.sd, low=low, high=high, level=LEVEL, p=drawn.p(self.kept / self.energy)
        )

    def _others(self) -> OtherFeatures:
        kept = self.others / self.energy
        test = excess(self.kept / self.energy, kept.tolist(), LEVEL)
        low, high = prediction_interval(kept, LEVEL)
        return OtherFeatures(
            draws=self.draws,
            mean=float(kept.mean()),
            low=max(0.0, low),
            high=min(1.0, high),  # a share cannot lie beyond
            level=LEVEL,
            t=test.t,
            p=test.p,
        )


def _realised(sums: EditSums) -> Realised | None:
    return Realised(**Realised.figures(sums)) if sums.intended else None
