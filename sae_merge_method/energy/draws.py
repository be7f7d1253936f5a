"""The spans that are measured: of the selected features, and of other features of the same SAEs like them."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.usage import UsageReader
from sae_merge_method.errors import ArtifactError
from sae_merge_method.geometry.basis import Basis, orthonormal_basis
from sae_merge_method.models.family import Side
from sae_merge_method.recipe.subspaces import Subspaces
from sae_merge_method.saes.matching import draw_alike, firing_rates

LOG = logging.getLogger(__name__)
Floats = npt.NDArray[np.floating]

RATE, NORM = "firing rate", "norm"


class _Others(NamedTuple):
    bases: tuple[Basis, ...]
    matched_by: str | None


class Spans:
    """The selected features' span of each layer, and those of draws of others; of one layer at a time."""

    def __init__(self, subspaces: Subspaces, diagnosis: Path, draws: int, seed: int) -> None:
        """Nothing is read yet.

        Args:
            subspaces: The selected features' spans.
            diagnosis: Folder with the usage that features are matched by.
            draws: Sets of other features a layer.
            seed: Of the draws; each layer has its own.
        """
        self._subspaces, self._diagnosis = subspaces, diagnosis
        self._draws, self._seed = draws, seed
        self._others: dict[int, _Others] = {}
        self._columns: dict[tuple[int, str], list[Floats]] = {}

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers to measure."""
        return self._subspaces.layers

    @property
    def d(self) -> int:
        """Width of the residual stream."""
        return self._subspaces.basis(self.layers[0]).d

    def source(self, layer: int, side: Side) -> int:
        """The layer whose SAE filters a tensor of ``layer`` on that side of it."""
        return self._subspaces.source(layer, side)

    def basis(self, source: int) -> Basis:
        """Of the selected features."""
        return self._subspaces.basis(source)

    def rank(self, source: int) -> int:
        """Of the selected features' span."""
        return self.basis(source).rank

    def matched_by(self, source: int) -> str | None:
        """What the others are matched in; None where none are drawn."""
        return self._of_others(source).matched_by

    def columns(self, source: int, dtype: np.dtype[np.floating]) -> list[Floats]:
        """The selected features' basis, then one of each draw, in the precision of the arithmetic."""
        key = (source, str(dtype))
        if key not in self._columns:
            bases = (self.basis(source), *self._of_others(source).bases)
            self._columns[key] = [one.columns.astype(dtype) for one in bases]
        return self._columns[key]

    def forget(self, before: int) -> None:
        """Let go of what lower layers needed."""
        self._columns = {key: kept for key, kept in self._columns.items() if key[0] >= before}
        self._others = {source: kept for source, kept in self._others.items() if source >= before}

    def _of_others(self, source: int) -> _Others:
        if source not in self._others:
            self._others[source] = self._drawn(source)
        return self._others[source]

    def _drawn(self, source: int) -> _Others:
        sae, selected = self._subspaces.sae(source), self._subspaces.features(source)
        if not self._draws:
            return _Others((), None)
        if sae.d_sae < 2 * len(selected):
            LOG.warning(
                "layer %d: %d of the SAE's %d features are selected, too many to draw as many others",
                source, len(selected), sae.d_sae,
            )  # fmt: skip
            return _Others((), None)
        measure, matched_by = self._measure(source, sae.d_sae)
        generator = np.random.default_rng((self._seed, source))
        drawn = [draw_alike(measure, selected, generator) for _ in range(self._draws)]
        bases = (orthonormal_basis(sae.directions(features)) for features in drawn if features is not None)
        return _Others(tuple(bases), matched_by)

    def _measure(self, source: int, d_sae: int) -> tuple[npt.NDArray[np.float64], str]:
        try:
            usage = UsageReader(self._diagnosis)
            layer = usage.layer(source)
        except ArtifactError:
            layer = None  # a diagnosis without usage, or of other layers
        if layer is not None and layer.d_sae == d_sae:
            return firing_rates(layer), RATE
        LOG.warning("layer %d: the diagnosis has no firing rates of this SAE; matched by norm", source)
        every: Sequence[int] = range(d_sae)
        norms = np.linalg.norm(self._subspaces.sae(source).directions(every), axis=1)
        return norms.astype(np.float64), NORM
