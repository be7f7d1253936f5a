"""How much of each donor's task vector an edit takes, by tensor, and what a file would hold of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sae_merge_method.errors import MergeError
from sae_merge_method.in_memory.tensors import LiveTensor
from sae_merge_method.layers import unit_of
from sae_merge_method.models.dtypes import DTYPES, Floats, narrow, widen
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.random_bits import RandomBits
from sae_merge_method.models.stochastic import narrow_stochastically
from sae_merge_method.models.tensor_names import LayerPart

if TYPE_CHECKING:
    import torch

Weights = Callable[[LiveTensor], Sequence[float]]
"""From a tensor to its alphas, one a donor."""
Round = Callable[[Floats, TensorEntry], Floats]
"""From an edited tensor, float32 or float64, and the base's entry for it, to the numbers that a file would
hold."""


def everywhere(*alphas: float) -> Weights:
    """The same alphas for every tensor, one a donor, embeddings and head included."""
    return lambda _: alphas


def by_unit(*alphas: Mapping[Any, float]) -> Weights:
    """One alpha a decoder layer or a part of one, as a gate opens them: 0 for what is not named, and for what
    of a layer is in no part that is; one mapping a donor."""

    def weights(tensor: LiveTensor) -> list[float]:
        if tensor.layer is None:
            return [0.0] * len(alphas)
        within = LayerPart(tensor.layer, tensor.part)
        return [0.0 if (unit := unit_of(given, within)) is None else given[unit] for given in alphas]

    return weights


def nearest(values: Floats, entry: TensorEntry) -> Floats:
    """The numbers as a merge writes them into the base's own dtype: rounded once, half to even.

    Raises:
        MergeError: A value overflows it.
    """
    return _written(values, entry, lambda flat, stored, spare: narrow(flat, entry.dtype, stored, spare))


def nearest_there(values: "torch.Tensor", entry: TensorEntry) -> "torch.Tensor":
    """What :func:`nearest` gives, computed on the device where the numbers are: the same bits.

    Raises:
        MergeError: A value overflows it.
    """
    import torch

    stored = getattr(torch, DTYPES[entry.dtype].name or "float32")
    # As a merge does: to 16 bits by way of float32.
    narrow_enough = values.float() if stored.itemsize == 2 else values
    written = narrow_enough.to(stored).to(values.dtype)
    if not bool(torch.isfinite(written).all()):
        raise _overflow(entry)
    return written


def stochastic(seed: int) -> Round:
    """The numbers as a merge writes them where it rounds stochastically: the same bits for the same seed."""

    def rounded(values: Floats, entry: TensorEntry) -> Floats:
        random = RandomBits.of(seed, entry.name)

        def narrow_at_random(flat: Floats, stored: "npt.NDArray[Any]", spare: Floats) -> bool:
            return narrow_stochastically(flat, entry.dtype, stored, spare, random, 0)

        return _written(values, entry, narrow_at_random)

    return rounded


def _written(
    values: Floats, entry: TensorEntry, into: "Callable[[Floats, npt.NDArray[Any], Floats], bool]"
) -> Floats:
    flat = values.reshape(-1)
    stored = np.empty(flat.size, DTYPES[entry.dtype].numpy)
    if not into(flat, stored, np.empty_like(flat)):
        raise _overflow(entry)
    written = np.empty_like(flat)
    widen(stored, entry.dtype, written)
    return written.reshape(values.shape)


def _overflow(entry: TensorEntry) -> MergeError:
    return MergeError(f"{entry.name}: the edit overflows {DTYPES[entry.dtype].name}; lower the weight")
