"""Squared norms of a task vector by layer, which match arms to each other, measured in one pass."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tqdm.auto import tqdm

from sae_merge_method.controls.samples import TensorSample
from sae_merge_method.geometry.energy import energy
from sae_merge_method.geometry.projection import project
from sae_merge_method.layers import LayerModule, Unit, unit_of_tensor
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.parts import tensor_part
from sae_merge_method.models.residual_axes import residual_axis
from sae_merge_method.models.task_vector import TensorPair
from sae_merge_method.recipe.plan import Donation
from sae_merge_method.recipe.subspaces import Subspaces

RAW = "raw"
"""Where samples of the whole task vector stand among those of a scalpel's modes."""


@dataclass
class LayerEnergies:
    """Squared norms by layer and by part of a layer."""

    task_vector: dict[Unit, float] = field(default_factory=dict)
    """||tau||^2, the donor's whole difference."""
    injected: dict[Unit, float] = field(default_factory=dict)
    """||alpha tau||^2, as the recipe weighs it."""
    kept: dict[str, float] = field(default_factory=dict)
    """By mode of a scalpel, what it injects over all its layers."""
    samples: dict[str, list[TensorSample]] = field(default_factory=dict)
    """Values of what is added at weight 1: raw, in all layers, and by mode of a scalpel."""

    @property
    def whole(self) -> float:
        """Of the donor's whole difference over all layers."""
        return self.moved(unit for unit in self.task_vector if not isinstance(unit, LayerModule))

    def of(self, layers: Iterable[Unit]) -> float:
        """Energy that the recipe's weights would inject in these layers, or parts of layers."""
        return sum(self.injected[layer] for layer in layers)

    def moved(self, layers: Iterable[Unit]) -> float:
        """Energy that a weight of 1 would inject in these."""
        return sum(self.task_vector[layer] for layer in layers)


def measure_energies(
    pairs: Iterable[TensorPair],
    donation: Donation,
    scalpels: Mapping[str, Subspaces],
    selected: Sequence[Unit],
    base: Checkpoint,
) -> LayerEnergies:
    """Stream the task vector once.

    Args:
        pairs: All tensors of all layers.
        donation: The donor and its weights.
        scalpels: Subspaces to measure in what is selected, by mode.
        selected: Layers, whole or in part.
        base: Whose stored dtypes samples are rounded to.
    """
    measured = LayerEnergies(
        kept=dict.fromkeys(scalpels, 0.0), samples={mode: [] for mode in (RAW, *scalpels)}
    )
    for pair in tqdm(pairs, total=len(base.layer_tensors), desc="task vector", unit="tensor", disable=None):
        whole, alpha = energy(pair.tau), donation.alpha(pair.name)
        part = tensor_part(pair.name)
        units: list[Unit] = [pair.layer, *([] if part is None else [LayerModule(pair.layer, part)])]
        for unit in units:
            measured.task_vector[unit] = measured.task_vector.get(unit, 0.0) + whole
            measured.injected[unit] = measured.injected.get(unit, 0.0) + alpha**2 * whole
        dtype = base.tensors[pair.name].dtype
        measured.samples[RAW].append(TensorSample.of(pair, pair.tau, dtype))
        residual = residual_axis(pair.name)
        if unit_of_tensor(selected, pair.name) is None or residual is None or residual.axis is None:
            continue
        for mode, subspaces in scalpels.items():
            columns = subspaces.basis(subspaces.source(pair.layer, residual.side)).columns
            inside = project(pair.tau, columns.astype(pair.tau.dtype), residual.axis)
            sample = TensorSample.of(pair, inside, dtype)
            measured.kept[mode] += alpha**2 * sample.energy
            measured.samples[mode].append(sample)
    return measured
