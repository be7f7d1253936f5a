"""What the stethoscope needs of a sparse autoencoder, whoever reads it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch


class Encoder(Protocol):
    """What the stethoscope needs of an SAE; SAELens' own classes have this shape."""

    def encode(self, x: "torch.Tensor") -> "torch.Tensor":
        """Activations (tokens, d_in) to features (tokens, d_sae), never negative."""
        ...

    def decode(self, feature_acts: "torch.Tensor") -> "torch.Tensor":
        """Features (tokens, d_sae) to reconstructed activations (tokens, d_in)."""
        ...


class LoadedSae(NamedTuple):
    """An SAE as a reader returns it, before it is known to fit."""

    encoder: Encoder
    architecture: str
    hook_point: str
    d_in: int
    d_sae: int
    parameters: "Mapping[str, torch.Tensor]"
    """The encoder's parameters by name, as they are used."""
    neuronpedia: str | None = None
    """Under which id neuronpedia.org shows its features, where the SAE says so."""
