"""What each layer's task vector carries, and what the scalpel would keep of the selected ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from sae_merge_method.edit.plan import Donation
from sae_merge_method.edit.subspaces import Subspaces
from sae_merge_method.geometry.energy import along_residual, energies_in, energy
from sae_merge_method.geometry.residual_axes import residual_axis
from sae_merge_method.task_vectors import TensorPair


@dataclass
class LayerEnergies:
    """Squared norms by layer."""

    task_vector: dict[int, float] = field(default_factory=dict)
    """||tau||^2, the donor's whole difference."""
    injected: dict[int, float] = field(default_factory=dict)
    """||alpha tau||^2, as the recipe weighs it."""
    kept: dict[str, float] = field(default_factory=dict)
    """By name of the scalpel, what it injects over all its layers."""

    def of(self, layers: Iterable[int]) -> float:
        """Energy that the recipe's weights would inject in these layers."""
        return sum(self.injected[layer] for layer in layers)


def measure_energies(
    pairs: Iterable[TensorPair],
    donation: Donation,
    scalpels: dict[str, Subspaces],
    selected: Sequence[int],
    tensors: int,
) -> LayerEnergies:
    """Stream the task vector once.

    Args:
        pairs: All tensors of all layers.
        donation: The donor and its weights.
        scalpels: Subspaces to measure in the selected layers, by name.
        selected: These layers.
        tensors: How many pairs will come, for the progress bar.
    """
    found = LayerEnergies(kept=dict.fromkeys(scalpels, 0.0))
    for pair in tqdm(pairs, total=tensors, desc="task vector", unit="tensor", disable=None):
        whole, alpha = energy(pair.tau), donation.alpha(pair.name)
        found.task_vector[pair.layer] = found.task_vector.get(pair.layer, 0.0) + whole
        found.injected[pair.layer] = found.injected.get(pair.layer, 0.0) + alpha**2 * whole
        place = residual_axis(pair.name)
        if pair.layer not in selected or place is None or place.axis is None:
            continue
        rows = along_residual(pair.tau, place.axis)
        for name, subspaces in scalpels.items():
            columns = subspaces.basis(subspaces.source(pair.layer, place.side)).columns
            kept = energies_in(rows, None, [columns.astype(rows.dtype)])
            found.kept[name] += alpha**2 * float(np.sum(kept))
    return found
