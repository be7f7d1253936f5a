"""How much of a task vector the span of SAE features keeps: per tensor, kind, layer and whole."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from sae_merge_method.artifacts.energy_report import (
    Energy,
    KindEnergy,
    LayerEnergy,
    Principal,
    RandomSubspace,
)
from sae_merge_method.energy.settings import EnergySettings
from sae_merge_method.errors import SaeError
from sae_merge_method.geometry.basis import random_basis
from sae_merge_method.geometry.energy import along_residual, energies_in, energy, gram
from sae_merge_method.geometry.spectra import coverage, effective_rank, principal_directions, spectrum
from sae_merge_method.models.family import AxisRule, ResidualAxis
from sae_merge_method.models.residual_axes import kind_of, residual_axis
from sae_merge_method.models.task_vector import TensorPair
from sae_merge_method.recipe.subspaces import Subspaces
from sae_merge_method.statistics.intervals import prediction_interval

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
        kept = self.random / self.energy
        interval = prediction_interval(kept, LEVEL)
        low, high = max(0.0, interval.low), min(1.0, interval.high)  # a share cannot lie beyond
        return RandomSubspace(seeds=self.seeds, level=LEVEL, mean=float(kept.mean()), low=low, high=high)


LOG = logging.getLogger(__name__)
Floats = npt.NDArray[np.floating]


@dataclass
class Measured:
    """What came out."""

    total: Energy
    layers: list[LayerEnergy]
    kinds: list[KindEnergy]
    left_out: list[str]


@dataclass
class _Sums:
    axes: Sequence[AxisRule]
    settings: EnergySettings
    total: Tally = field(init=False)
    kinds: dict[tuple[str, ResidualAxis], Tally] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    bases: dict[tuple[int, str], list[Floats]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.total = Tally(self.settings.seeds)


def measure(
    pairs: Iterable[TensorPair], subspaces: Subspaces, axes: Sequence[AxisRule], settings: EnergySettings
) -> Measured:
    """Measure layer by layer; memory holds one tensor pair and two d x d matrices.

    Args:
        pairs: Tensors in the order of their layers.
        subspaces: The features' spans of these layers.
        axes: Residual axes of tensors that the built-in table lacks.
        settings: How many random subspaces and principal directions.

    Raises:
        SaeError: The features' directions do not have the residual stream's width.
    """
    sums = _Sums(axes, settings)
    layers = []
    with tqdm(total=len(subspaces.layers), desc="energy", unit="layer", disable=None) as bar:
        for layer, group in groupby(pairs, key=lambda pair: pair.layer):
            layers.append(_measure_layer(layer, group, subspaces, sums))
            sums.bases = {key: kept for key, kept in sums.bases.items() if key[0] == layer}
            bar.update()
    for kind in sorted(sums.left_out):
        LOG.warning("%s is left out: its residual axis is not known; --residual-axes can name it", kind)
    return Measured(
        total=Energy(**sums.total.figures()),
        layers=layers,
        kinds=[
            KindEnergy(
                kind=kind,
                side="none" if residual.axis is None else residual.side,
                tensors=sums.counts[kind],
                **tally.figures(),
            )
            for (kind, residual), tally in sums.kinds.items()
        ],
        left_out=sorted(sums.left_out),
    )


def _measure_layer(layer: int, pairs: Iterable[TensorPair], subspaces: Subspaces, sums: _Sums) -> LayerEnergy:
    tally = Tally(sums.settings.seeds)
    basis = subspaces.basis(layer)
    products: Floats = np.zeros((basis.d, basis.d))
    for pair in pairs:
        residual = residual_axis(pair.name, sums.axes)
        kind = kind_of(pair.name)
        if residual is None:
            sums.left_out.add(kind)
            continue
        sums.counts[kind] = sums.counts.get(kind, 0) + 1
        of_kind = sums.kinds.setdefault((kind, residual), Tally(sums.settings.seeds))
        tallies = (tally, of_kind, sums.total)
        whole, base = energy(pair.tau), energy(pair.base)
        for one in tallies:
            one.add(whole, base)
        if residual.axis is None:
            continue
        rows = _rows(pair, residual.axis, basis.d)
        own = gram(rows)
        products += own
        source = subspaces.source(layer, residual.side)
        columns = _columns(source, subspaces, sums, rows.dtype)
        kept = energies_in(rows, own if len(rows) > basis.d else None, columns)
        for one in tallies:
            one.add_kept(whole, kept, subspaces.basis(source).rank / basis.d)
    return _layer_report(layer, tally, products, subspaces, sums.settings.directions)


def _layer_report(
    layer: int, tally: Tally, products: Floats, subspaces: Subspaces, directions: int
) -> LayerEnergy:
    basis = subspaces.basis(layer)
    values = spectrum(products)
    leading = principal_directions(products.astype(np.float32), directions if tally.with_axis else 0)
    cover = coverage(leading, basis.columns)
    return LayerEnergy(
        **tally.figures(),
        layer=layer,
        features=basis.directions,
        rank=basis.rank,
        effective_rank=effective_rank(values),
        best=min(1.0, float(values[: basis.rank].sum()) / tally.energy) if tally.energy else None,
        principal=Principal(
            count=leading.shape[1],
            share=min(1.0, float(values[: leading.shape[1]].sum()) / tally.energy) if tally.energy else 0.0,
            covered=min(1.0, cover.covered),
            angles=tuple(float(angle) for angle in np.degrees(np.arccos(cover.cosines))),
        ),
    )


def _columns(source: int, subspaces: Subspaces, sums: _Sums, dtype: np.dtype[np.floating]) -> list[Floats]:
    """The features' span and as many random ones, in the precision of the arithmetic."""
    key = (source, str(dtype))
    if key not in sums.bases:
        basis, settings = subspaces.basis(source), sums.settings
        drawn = [
            random_basis(basis.d, basis.rank, (settings.seed + number, source))
            for number in range(settings.seeds)
        ]
        sums.bases[key] = [one.columns.astype(dtype) for one in (basis, *drawn)]
    return sums.bases[key]


def _rows(pair: TensorPair, axis: int, d: int) -> Floats:
    if axis >= pair.tau.ndim or pair.tau.shape[axis] != d:
        raise SaeError(
            f"{pair.name}: expected width {d} of the SAE's directions on axis {axis}, "
            f"got shape {list(pair.tau.shape)}"
        )
    return along_residual(pair.tau, axis)
