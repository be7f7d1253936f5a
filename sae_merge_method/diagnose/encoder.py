"""What the stethoscope needs of a sparse autoencoder, whoever reads it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch


def product_dtype(dtype: "torch.dtype", device: "torch.device") -> "torch.dtype":
    """The precision in which matrix products of ``dtype`` are fast here: its own, or float32.

    A processor without AVX-512 has no bfloat16 arithmetic: torch then multiplies element by
    element, up to two hundred times slower than in float32.
    """
    import torch

    if device.type == "cpu" and dtype == torch.bfloat16:
        capability = torch.backends.cpu.get_cpu_capability()
        return torch.float32 if capability in ("DEFAULT", "NO AVX", "AVX2") else dtype
    return dtype


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
