"""A task vector, tensor by tensor, layer after layer: never more than two tensors of each side in memory."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.errors import MergeError
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.reading import read_tensor
from sae_merge_method.models.tensor_names import LayerPart

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

    While one tensor is being worked on, a second thread reads the next.

    Args:
        base: The base.
        donor: A donor that has every tensor of these layers, in any layout.
        layers: Which layers.

    Raises:
        MergeError: A tensor is not finite.
        ModelError: A file is damaged.
    """
    places = sorted(place for place in base.layer_tensors if place.layer in set(layers))
    if not places:
        return
    with ThreadPoolExecutor(1, thread_name_prefix="reading") as pool:
        coming = [pool.submit(_read, base, donor, place) for place in places[:1]]
        for following in (*places[1:], None):
            pair = coming.pop().result()
            if following is not None:
                coming.append(pool.submit(_read, base, donor, following))
            yield pair


def _read(base: Checkpoint, donor: Checkpoint, place: LayerPart) -> TensorPair:
    ours = read_tensor(base.layer_tensors[place])
    tau = read_tensor(donor.layer_tensors[place])
    name = base.layer_tensors[place].name
    tau = np.subtract(tau, ours, out=tau) if tau.dtype == ours.dtype else tau - ours
    if not np.isfinite(tau.sum(dtype=np.float64)):  # one such value makes the whole sum so
        raise MergeError(f"{name}: base or donor holds NaN or infinite values")
    return TensorPair(place.layer, name, ours, tau)
