"""What the tokens of some documents are encoded to, and what is asked of it: held as suits the device.

A processor holds the active features alone, any other device all of them: of either the same is asked.
"""

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.active_features import ActiveFeatures
from sae_merge_method.diagnose.dense_features import DenseFeatures
from sae_merge_method.diagnose.token_layout import Rows, TokenLayout, Without
from sae_merge_method.saes.encoders import Encoder, JumpReluEncoder, encode

if TYPE_CHECKING:
    import torch

Integers = npt.NDArray[np.int64]


class SummedFeatures(Protocol):
    """Features by document."""

    def rows(self, layout: TokenLayout | None = None) -> Rows:
        """What each document uses; with a layout of the same tokens, where the target's use it most, too."""
        ...

    def without(self, layout: TokenLayout) -> Without:
        """Means of each document outside each class, summed over the documents of a side."""
        ...


class TokenFeatures(Protocol):
    """Features (T, F) of some tokens."""

    def of_tokens(self, chosen: Integers) -> "torch.Tensor":
        """(n, F) all features of some tokens, as they were encoded."""
        ...

    def active(self) -> "torch.Tensor":
        """(T,) how many are active at each token."""
        ...

    def summed(self, tokens: Integers) -> SummedFeatures:
        """By document, of which each has so many tokens (B,), one behind the other."""
        ...


def encode_tokens(encoder: Encoder, activations: "torch.Tensor") -> TokenFeatures:
    """Features of activations (T, d_in)."""
    if isinstance(encoder, JumpReluEncoder) and _on_processor(activations):
        return ActiveFeatures.above(encoder.floor, len(activations), encoder.blocks(activations))
    return features_of(encode(encoder, activations))


def features_of(features: "torch.Tensor") -> TokenFeatures:
    """Features (T, F) that are encoded already."""
    if not _on_processor(features):
        return DenseFeatures(features)
    n_tokens, n_features = features.shape
    whole = slice(0, n_features), features.detach()
    return ActiveFeatures.above(features.new_zeros(n_features), n_tokens, [whole])


def _on_processor(tensor: "torch.Tensor") -> bool:
    return tensor.device.type == "cpu"
