"""How much of a task vector the span of SAE features keeps: per tensor, kind, layer and whole."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from sae_merge_method.artifacts.energy_report import Energy, KindEnergy, LayerEnergy, Principal
from sae_merge_method.energy.draws import Spans
from sae_merge_method.energy.settings import EnergySettings
from sae_merge_method.energy.tally import Tally
from sae_merge_method.errors import SaeError
from sae_merge_method.geometry.energy import (
    along_residual,
    energies_in,
    energy,
    folded,
    gram,
    random_variance,
)
from sae_merge_method.geometry.projection import project
from sae_merge_method.geometry.realised import EditSums
from sae_merge_method.geometry.spectra import coverage, effective_rank, principal_directions, spectrum
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.family import AxisRule, ResidualAxis
from sae_merge_method.models.residual_axes import kind_of, residual_axis
from sae_merge_method.models.rounding import Rounding
from sae_merge_method.models.stored_edit import stored_tensor_edit
from sae_merge_method.models.task_vector import TensorPair

LOG = logging.getLogger(__name__)
Floats = npt.NDArray[np.floating]


@dataclass
class MeasuredEnergy:
    """What came out."""

    total: Energy
    layers: list[LayerEnergy]
    kinds: list[KindEnergy]
    left_out: list[str]
    not_folded: list[str]


Gain = Callable[[TensorPair], Floats | None]
"""What the norm before a reading tensor multiplies the residual stream by; None where it is not known."""


@dataclass
class _Sums:
    axes: Sequence[AxisRule]
    settings: EnergySettings
    gain: Gain | None
    base: Checkpoint
    total: Tally = field(init=False)
    kinds: dict[tuple[str, ResidualAxis], Tally] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    not_folded: set[str] = field(default_factory=set)
    products: dict[int, Floats] = field(default_factory=dict)
    """Grams by the layer whose SAE filters them: what one subspace keeps of all of them varies together."""

    def __post_init__(self) -> None:
        self.total = Tally(self.settings.draws)

    def stored(self, pair: TensorPair, tau: Floats) -> EditSums:
        """What rounding leaves of an edit of one tensor."""
        rounding, dtype = Rounding(self.settings.rounding), self.base.tensors[pair.name].dtype
        return stored_tensor_edit(pair.base, tau, self.settings.weight, dtype, rounding, pair.name)

    def settle(self, spans: Spans, before: int | None) -> None:
        """Count the variance of all subspaces, or of those that no later layer is filtered by."""
        for source in [one for one in self.products if before is None or one < before]:
            self.total.variance += random_variance(self.products.pop(source), spans.rank(source))


def measure(
    pairs: Iterable[TensorPair],
    spans: Spans,
    axes: Sequence[AxisRule],
    settings: EnergySettings,
    gain: Gain | None,
    base: Checkpoint,
) -> MeasuredEnergy:
    """Measure layer by layer; memory holds one tensor pair and a few d x d matrices.

    Args:
        pairs: Tensors in the order of their layers.
        spans: The features' spans of these layers, and those of other features.
        axes: Residual axes of tensors that the built-in table lacks.
        settings: How many draws and principal directions.
        gain: Folds norms into what reads them; None to measure tensors as they are stored.
        base: To whose stored dtypes edits are rounded.

    Raises:
        SaeError: The features' directions do not have the residual stream's width.
    """
    sums = _Sums(axes, settings, gain, base)
    layers = []
    with tqdm(total=len(spans.layers), desc="energy", unit="layer", disable=None) as bar:
        for layer, group in groupby(pairs, key=lambda pair: pair.layer):
            layers.append(_measure_layer(layer, group, spans, sums))
            spans.forget(before=layer)
            sums.settle(spans, before=layer)
            bar.update()
    sums.settle(spans, before=None)
    for kind in sorted(sums.left_out):
        LOG.warning("%s is left out: its residual axis is not known; --residual-axes can name it", kind)
    for kind in sorted(sums.not_folded):
        LOG.warning("%s is measured as it is stored: the norm before it is not known", kind)
    return MeasuredEnergy(
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
        not_folded=sorted(sums.not_folded),
    )


def _measure_layer(layer: int, pairs: Iterable[TensorPair], spans: Spans, sums: _Sums) -> LayerEnergy:
    tally = Tally(sums.settings.draws)
    by_source: dict[int, Floats] = {}
    for pair in pairs:
        residual = residual_axis(pair.name, sums.axes)
        kind = kind_of(pair.name)
        if residual is None:
            sums.left_out.add(kind)
            continue
        sums.counts[kind] = sums.counts.get(kind, 0) + 1
        of_kind = sums.kinds.setdefault((kind, residual), Tally(sums.settings.draws))
        tallies = (tally, of_kind, sums.total)
        whole, base = energy(pair.tau), energy(pair.base)
        stored = sums.stored(pair, pair.tau)
        for one in tallies:
            one.add(whole, base, stored)
        if residual.axis is None:
            continue
        rows = _rows(pair, residual, spans.d, sums)
        own = gram(rows)
        source = spans.source(layer, residual.side)
        by_source[source] = by_source[source] + own if source in by_source else own
        columns = spans.columns(source, rows.dtype)
        part = sums.stored(pair, project(pair.tau, columns[0], residual.axis))
        kept = energies_in(rows, own if len(rows) > spans.d else None, columns)
        if len(kept) <= sums.settings.draws:  # too few other features to draw: what they keep is not known
            kept = np.append(kept, np.full(sums.settings.draws, np.nan))
        for one in tallies:
            one.add_kept(whole, kept, spans.rank(source) / spans.d, part)
        of_kind.variance += random_variance(own, spans.rank(source))
    for source, products in by_source.items():
        tally.variance += random_variance(products, spans.rank(source))
        sums.products[source] = sums.products[source] + products if source in sums.products else products
    together: Floats = sum(by_source.values(), start=np.zeros((spans.d, spans.d)))
    return _layer_report(layer, tally, together, spans, sums.settings.directions)


def _layer_report(layer: int, tally: Tally, products: Floats, spans: Spans, directions: int) -> LayerEnergy:
    basis = spans.basis(layer)
    values = spectrum(products)
    leading = principal_directions(products.astype(np.float32), directions if tally.with_axis else 0)
    cover = coverage(leading, basis.columns)
    return LayerEnergy(
        **tally.figures(),
        layer=layer,
        features=basis.directions,
        rank=basis.rank,
        matched_by=spans.matched_by(layer),
        effective_rank=effective_rank(values),
        best=min(1.0, float(values[: basis.rank].sum()) / tally.energy) if tally.energy else None,
        principal=Principal(
            count=leading.shape[1],
            share=min(1.0, float(values[: leading.shape[1]].sum()) / tally.energy) if tally.energy else 0.0,
            covered=min(1.0, cover.covered),
            angles=tuple(float(angle) for angle in np.degrees(np.arccos(cover.cosines))),
        ),
    )


def _rows(pair: TensorPair, residual: ResidualAxis, d: int, sums: _Sums) -> Floats:
    axis = residual.axis or 0
    if axis >= pair.tau.ndim or pair.tau.shape[axis] != d:
        raise SaeError(
            f"{pair.name}: expected width {d} of the SAE's directions on axis {axis}, "
            f"got shape {list(pair.tau.shape)}"
        )
    rows = along_residual(pair.tau, axis)
    if sums.gain is None or residual.side == "write" or pair.tau.ndim < 2:
        return rows  # a norm's own weights are the gain, and read nothing through it
    gain = sums.gain(pair)
    if gain is None:
        sums.not_folded.add(kind_of(pair.name))
        return rows
    return folded(rows, gain)
