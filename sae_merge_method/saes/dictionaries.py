"""Dictionaries that nobody trained: random directions, and the residual stream's own coordinates.

What a diagnosis says with one of them in the SAE's place, it does not owe to the SAE. They may stand there by
name (``--sae random``), or beside an SAE, centred as it is and with as many features active at each token.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from sae_merge_method.errors import SaeError, UsageError
from sae_merge_method.models.precision import product_dtype

if TYPE_CHECKING:
    import torch

_SIZES = re.compile(r"width_(?P<width>\d+)(?P<thousands>k?)_l0_(?P<l0>\d+)")
_EXAMPLE = "width_16k_l0_50"
_THOUSAND = 1024

Floats = npt.NDArray[np.floating]


class Sizes(NamedTuple):
    """How large a dictionary is."""

    d_sae: int
    """F, the number of its features."""
    l0: int | None
    """Features active at a token; None for all that are above zero."""


MakeDirections: TypeAlias = "Callable[[int, int, int], torch.Tensor]"


class Dictionary(NamedTuple):
    """A named dictionary that is not learned: one row of the registry."""

    name: str
    description: str
    """For help texts."""
    where: str
    """Where a score is found with it, for a sentence."""
    sizes: Callable[[str, int], Sizes]
    """From the id that a user wrote and the width d of the stream."""
    directions: MakeDirections
    """From d, F and the layer to (F, d) unit directions, float32."""
    keeps_l0: bool
    """Whether only as many features are active as an SAE beside it has; otherwise all that are above zero."""


def read_sizes(id: str, _: int) -> Sizes:
    """Sizes as published SAEs are named: ``width_16k_l0_50``.

    Raises:
        UsageError: The id does not say them.
    """
    match = _SIZES.fullmatch(id)
    if match is None or not int(match["width"]):
        raise UsageError(
            f"random directions need a size: expected --sae-id {_EXAMPLE}, as many directions and as many "
            f"active a token as the SAE that they stand in for, got {id or 'none'}"
        )
    width = int(match["width"]) * (_THOUSAND if match["thousands"] else 1)
    return Sizes(width, min(int(match["l0"]), width))


def _random_directions(d: int, d_sae: int, layer: int) -> "torch.Tensor":
    import torch

    drawn = torch.randn(d_sae, d, generator=torch.Generator().manual_seed(layer))
    return torch.nn.functional.normalize(drawn)


def _coordinates(d: int, d_sae: int, layer: int) -> "torch.Tensor":
    import torch

    axes = torch.eye(d)
    return torch.cat((axes, -axes))


DICTIONARIES: dict[str, Dictionary] = {
    row.name: row
    for row in (
        Dictionary(
            "random",
            "random unit directions, as many as the SAE has features and as many of them active",
            "with random directions",
            read_sizes,
            _random_directions,
            keeps_l0=True,
        ),
        Dictionary(
            "none",
            "the activations' own coordinates, above and below",
            "in the activations' own coordinates",
            lambda _, d: Sizes(2 * d, None),
            _coordinates,
            keeps_l0=False,
        ),
    )
}
"""All by name: a row here is all that a new one takes."""


class DirectionsEncoder:
    """Features are what an activation measures along unit directions, if it is above zero and among the
    largest."""

    def __init__(self, directions: "torch.Tensor", l0: int | None) -> None:
        self.directions = directions
        self.l0 = l0

    def encode(self, x: "torch.Tensor") -> "torch.Tensor":
        """Features (tokens, F) of activations (tokens, d)."""
        import torch

        features = self._along(x)
        if self.l0 is None:
            return features
        return _largest(features, torch.full((len(x),), self.l0, device=x.device))

    def encode_beside(
        self, x: "torch.Tensor", centre: "torch.Tensor", active: "torch.Tensor"
    ) -> "torch.Tensor":
        """The same of activations less ``centre`` (d,), with at most ``active`` (tokens,) features at
        each."""
        return _largest(self._along(x - centre.to(x.dtype)), active)

    def decode(self, feature_acts: "torch.Tensor") -> "torch.Tensor":
        """The sum (tokens, d) of the directions, each as strong as its feature."""
        return feature_acts.to(self.directions.dtype) @ self.directions

    def _along(self, x: "torch.Tensor") -> "torch.Tensor":
        return (x.to(self.directions.dtype) @ self.directions.T).clamp_min_(0)


def _largest(features: "torch.Tensor", count: "torch.Tensor") -> "torch.Tensor":
    """Each row's ``count`` largest entries (T, F), or all there are, the others 0."""
    import torch

    if features.device.type != "cpu":
        return largest_unasked(features, count)
    most = min(int(count.max()), features.shape[1]) if len(count) else 0
    top = features.topk(most, dim=1)
    kept = torch.arange(most, device=features.device) < count[:, None]
    return torch.zeros_like(features).scatter_(1, top.indices, top.values * kept)


def largest_unasked(features: "torch.Tensor", count: "torch.Tensor") -> "torch.Tensor":
    """The same of what is never negative, without waiting for a device to say how many the most are.

    Numbers above zero are in the order of their bits. The bits of each row's least one are found from the
    first on, each by counting; of equal ones the first are taken.
    """
    import torch

    bits = features.view(torch.int32 if features.dtype.itemsize == 4 else torch.int16)
    least = torch.zeros_like(bits[:, 0])
    for place in range(8 * features.dtype.itemsize - 2, -1, -1):
        higher = least | (1 << place)
        least = torch.where((bits >= higher[:, None]).sum(1) >= count, higher, least)
    above, equal = bits > least[:, None], bits == least[:, None]
    room = count - above.sum(1)
    return features.masked_fill(~(above | (equal & (equal.cumsum(1, dtype=torch.int32) <= room[:, None]))), 0)


def load_dictionary(
    row: Dictionary, sizes: Sizes, layer: int, d: int, dtype: "torch.dtype", device: "torch.device"
) -> DirectionsEncoder:
    """The dictionary of one layer: always the same one.

    Args:
        row: Which.
        sizes: How large.
        layer: The layer, which decides the draw.
        d: Width of the residual stream.
        dtype: Precision of the model; directions are in one whose products are fast.
        device: Where.
    """
    directions = row.directions(d, sizes.d_sae, layer).to(device, product_dtype(dtype, device))
    return DirectionsEncoder(directions, sizes.l0)


def read_dictionary_rows(
    row: Dictionary, sizes: Sizes, layer: int, d: int | None, features: Sequence[int]
) -> Floats:
    """Directions (k, d) of some features.

    Raises:
        SaeError: Nobody says how wide the residual stream is.
    """
    if d is None:
        raise SaeError(f"the dictionary {row.name} has the model's width: only a diagnosis of it says which")
    rows: Floats = row.directions(d, sizes.d_sae, layer)[list(features)].numpy()
    return rows
