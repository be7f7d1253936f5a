"""A task vector, tensor by tensor, layer after layer: never more than two tensors of each side in memory."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from sae_merge_method.errors import MergeError
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.dtypes import Floats
from sae_merge_method.models.reading import read_tensor
from sae_merge_method.models.tensor_names import LayerPart


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
    keys = sorted(key for key in base.layer_tensors if key.layer in set(layers))
    if not keys:
        return
    with ThreadPoolExecutor(1, thread_name_prefix="reading") as pool:
        coming = [pool.submit(_read, base, donor, key) for key in keys[:1]]
        for following in (*keys[1:], None):
            pair = coming.pop().result()
            if following is not None:
                coming.append(pool.submit(_read, base, donor, following))
            yield pair


def _read(base: Checkpoint, donor: Checkpoint, key: LayerPart) -> TensorPair:
    entry = base.layer_tensors[key]
    theta, tau = read_tensor(entry), read_tensor(donor.layer_tensors[key])
    tau = np.subtract(tau, theta, out=tau) if tau.dtype == theta.dtype else tau - theta
    if not np.isfinite(tau.sum(dtype=np.float64)):  # one such value makes the whole sum so
        raise MergeError(f"{entry.name}: base or donor holds NaN or infinite values")
    return TensorPair(key.layer, entry.name, theta, tau)
