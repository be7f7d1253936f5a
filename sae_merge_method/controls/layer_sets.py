"""Sets of layers that a pick is held against, and the energies that match arms to each other."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from random import Random

import numpy as np
from tqdm import tqdm

from sae_merge_method.geometry.energy import along_residual, energies_in, energy
from sae_merge_method.models.residual_axes import residual_axis
from sae_merge_method.models.task_vector import TensorPair
from sae_merge_method.recipe.plan import Donation
from sae_merge_method.recipe.subspaces import Subspaces

Layers = tuple[int, ...]


def random_sets(n_layers: int, selected: Layers) -> Iterator[Layers]:
    """All sets of as many layers other than ``selected``, each once, in an order that is always the same.

    The stream is Python's own generator, seeded by a fixed text: the set with a given number
    depends on ``n_layers`` and the selection alone.
    """
    seen = {tuple(sorted(selected))}
    left = comb(n_layers, len(selected)) - 1
    rng = Random("random layers")
    while left:
        drawn = tuple(sorted(rng.sample(range(n_layers), len(selected))))
        if drawn not in seen:
            seen.add(drawn)
            left -= 1
            yield drawn


def depth_matched(n_layers: int, selected: Layers) -> Layers:
    """As many other layers at the same mean depth.

    Of all sets of that size: those that share fewest layers with the selection (none, where it
    is at most half of the model); of these, those whose mean depth is closest to its mean; of
    these, the one whose layers, taken in order, lie closest to the selected ones in sum; then
    the first in lexicographic order. Found by dynamic programming over (layers taken, their sum).
    """
    wanted = tuple(sorted(selected))
    size = len(wanted)
    # (layers taken, sum of their numbers) -> (shared with the selection, displacement, the layers)
    best: dict[tuple[int, int], tuple[int, int, Layers]] = {(0, 0): (0, 0, ())}
    for layer in range(n_layers):
        for (taken, total), (shared, moved, layers) in list(best.items()):
            if taken == size:
                continue
            key = (taken + 1, total + layer)
            found = (shared + (layer in wanted), moved + abs(layer - wanted[taken]), (*layers, layer))
            if key not in best or found < best[key]:
                best[key] = found
    return min(
        (shared, abs(total - sum(wanted)), moved, layers)
        for (taken, total), (shared, moved, layers) in best.items()
        if taken == size and layers != wanted
    )[-1]


def highest(values: Mapping[int, float], size: int) -> Layers:
    """The ``size`` layers with the largest values; ties go to the lower layer."""
    return tuple(sorted(sorted(values, key=lambda layer: (-values[layer], layer))[:size]))


def lowest(values: Mapping[int, float], size: int) -> Layers:
    """The ``size`` layers with the smallest values; ties go to the lower layer."""
    return tuple(sorted(sorted(values, key=lambda layer: (values[layer], layer))[:size]))


def overlap(one: Collection[int], other: Collection[int]) -> int:
    """How many layers two sets share."""
    return len(set(one) & set(other))


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
