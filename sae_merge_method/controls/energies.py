"""Squared norms of a task vector by layer, which match arms to each other, measured in one pass."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm.auto import tqdm

from sae_merge_method.geometry.energy import along_residual, energies_in, energy
from sae_merge_method.models.residual_axes import residual_axis
from sae_merge_method.models.task_vector import TensorPair
from sae_merge_method.recipe.plan import Donation
from sae_merge_method.recipe.subspaces import Subspaces


@dataclass
class LayerEnergies:
    """Squared norms by layer."""

    task_vector: dict[int, float] = field(default_factory=dict)
    """||tau||^2, the donor's whole difference."""
    injected: dict[int, float] = field(default_factory=dict)
    """||alpha tau||^2, as the recipe weighs it."""
    kept: dict[str, float] = field(default_factory=dict)
    """By mode of a scalpel, what it injects over all its layers."""

    @property
    def whole(self) -> float:
        """Of the donor's whole difference over all layers."""
        return sum(self.task_vector.values())

    def of(self, layers: Iterable[int]) -> float:
        """Energy that the recipe's weights would inject in these layers."""
        return sum(self.injected[layer] for layer in layers)


def measure_energies(
    pairs: Iterable[TensorPair],
    donation: Donation,
    scalpels: Mapping[str, Subspaces],
    selected: Sequence[int],
    tensors: int,
) -> LayerEnergies:
    """Stream the task vector once.

    Args:
        pairs: All tensors of all layers.
        donation: The donor and its weights.
        scalpels: Subspaces to measure in the selected layers, by mode.
        selected: These layers.
        tensors: How many pairs will come, for the progress bar.
    """
    measured = LayerEnergies(kept=dict.fromkeys(scalpels, 0.0))
    for pair in tqdm(pairs, total=tensors, desc="task vector", unit="tensor", disable=None):
        whole, alpha = energy(pair.tau), donation.alpha(pair.name)
        measured.task_vector[pair.layer] = measured.task_vector.get(pair.layer, 0.0) + whole
        measured.injected[pair.layer] = measured.injected.get(pair.layer, 0.0) + alpha**2 * whole
        residual = residual_axis(pair.name)
        if pair.layer not in selected or residual is None or residual.axis is None:
            continue
        rows = along_residual(pair.tau, residual.axis)
        for mode, subspaces in scalpels.items():
            columns = subspaces.basis(subspaces.source(pair.layer, residual.side)).columns
            kept = energies_in(rows, None, [columns.astype(rows.dtype)])
            measured.kept[mode] += alpha**2 * float(np.sum(kept))
    return measured
