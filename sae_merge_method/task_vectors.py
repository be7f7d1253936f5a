"""A task vector, tensor by tensor: one tensor of each side in memory, layer after layer."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.checkpoints import Checkpoint
from sae_merge_method.errors import MergeError
from sae_merge_method.tensor_bytes import read_tensor

Floats = npt.NDArray[np.floating]


class TensorPair(NamedTuple):
    """One tensor of base and donor."""

    layer: int
    name: str
    """The base's name for it."""
    base: Floats
    tau: Floats
    """Donor minus base; float32, or float64 where a side is."""


def task_vector(base: Checkpoint, donor: Checkpoint, layers: Sequence[int]) -> Iterator[TensorPair]:
    """Stream donor minus base over the decoder layers, in the order of layers and names.

    Args:
        base: The base.
        donor: A donor that has every tensor of these layers, in any layout.
        layers: Which layers.

    Raises:
        MergeError: A tensor is not finite.
        ModelError: A file is damaged.
    """
    places = sorted(place for place in base.layer_tensors if place.layer in set(layers))
    for place in places:
        ours = read_tensor(base.layer_tensors[place])
        tau = read_tensor(donor.layer_tensors[place])
        name = base.layer_tensors[place].name
        tau = np.subtract(tau, ours, out=tau) if tau.dtype == ours.dtype else tau - ours
        if not np.isfinite(tau.sum(dtype=np.float64)):  # one such value makes the whole sum so
            raise MergeError(f"{name}: base or donor holds NaN or infinite values")
        yield TensorPair(place.layer, name, ours, tau)
