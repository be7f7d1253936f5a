"""From activations to features: what every SAE's encoder must do, and our own of JumpReLU SAEs.

JumpReLU SAEs (Rajamanoharan et al., arXiv 2407.14435) that neither subtract the decoder's bias
from their input nor normalise it, such as Gemma Scope 2's, are computed here, without SAELens. The
encoder is loaded; the decoder stays on disk, and is mapped only while the rows of features that
fired are read. All other kinds are left to :mod:`sae_merge_method.saes.saelens`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sae_merge_method.errors import SaeError

if TYPE_CHECKING:
    import torch

_BLOCK = 2048
"""Features whose weights are widened together, where products need another precision."""
_DIMENSIONS = {"W_enc": 2, "W_dec": 2, "b_enc": 1, "b_dec": 1, "threshold": 1}


class Encoder(Protocol):
    """What the stethoscope needs of an SAE; SAELens' own classes have this shape."""

    def encode(self, x: "torch.Tensor") -> "torch.Tensor":
        """Activations (tokens, d_in) to features (tokens, d_sae), never negative."""
        ...

    def decode(self, feature_acts: "torch.Tensor") -> "torch.Tensor":
        """Features (tokens, d_sae) to reconstructed activations (tokens, d_in)."""
        ...


class LoadedEncoder(NamedTuple):
    """An encoder in memory."""

    encoder: Encoder
    parameters: "Mapping[str, torch.Tensor]"
    """Its parameters by the names in their file, in the precision they are used in; no decoder among them."""


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


class JumpReluEncoder:
    """A JumpReLU SAE with its decoder left on disk."""

    def __init__(
        self,
        w_enc: "torch.Tensor",
        b_enc: "torch.Tensor",
        b_dec: "torch.Tensor",
        threshold: "torch.Tensor",
        read_w_dec: "Callable[[], torch.Tensor]",
    ) -> None:
        self.w_enc = w_enc
        self.b_enc = b_enc
        self.b_dec = b_dec
        # A unit passes above its threshold and above zero: one comparison does for both.
        self.floor = threshold.clamp_min(0)
        self._read_w_dec = read_w_dec
        self._product = product_dtype(w_enc.dtype, w_enc.device)

    def encode(self, x: "torch.Tensor") -> "torch.Tensor":
        """Features (tokens, d_sae) of activations (tokens, d_in)."""
        import torch

        # One buffer from the product to the result: at 16k features each pass over it counts.
        x = x.to(self.w_enc.dtype)
        if self._product == self.w_enc.dtype:
            features = torch.addmm(self.b_enc, x, self.w_enc)
        else:
            features = self._widened(x)
        return features.masked_fill_(features <= self.floor, 0)

    def decode(self, feature_acts: "torch.Tensor") -> "torch.Tensor":
        """Activations (tokens, d_in) from features (tokens, d_sae)."""
        import torch

        fired = torch.nonzero(feature_acts.amax(0)).squeeze(1)
        # Few tokens are decoded: float32 costs nothing, whatever precision is fast here.
        rows = self._read_w_dec()[fired.cpu()].to(feature_acts.device, torch.float32)
        return torch.addmm(self.b_dec.float(), feature_acts[:, fired].float(), rows)

    def _widened(self, x: "torch.Tensor") -> "torch.Tensor":
        """Inputs of all features, a block at a time multiplied in float32 and rounded once."""
        import torch

        wide = x.to(self._product)
        inputs = torch.empty(len(x), self.w_enc.shape[1], dtype=x.dtype, device=x.device)
        for start in range(0, inputs.shape[1], _BLOCK):
            block = slice(start, start + _BLOCK)
            weights, bias = self.w_enc[:, block].to(self._product), self.b_enc[block].to(self._product)
            inputs[:, block] = torch.addmm(bias, wide, weights)
        return inputs


def load_jumprelu(
    file: Path, names: Mapping[str, str], dtype: "torch.dtype", device: "torch.device"
) -> LoadedEncoder:
    """Load a JumpReLU SAE's encoder from a safetensors file.

    Args:
        file: The weights.
        names: What the file calls W_enc (d, F), W_dec (F, d), b_enc, threshold (F) and b_dec (d).
        dtype: Precision to use it in.
        device: Where.

    Raises:
        SaeError: A tensor is missing or misshapen, or the file is damaged.
    """
    tensors = _read_tensors(file, names)
    d_in, d_sae = tensors["W_enc"].shape
    expected = {"W_dec": (d_sae, d_in), "b_enc": (d_sae,), "b_dec": (d_in,), "threshold": (d_sae,)}
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise SaeError(
                f"expected {names[name]} of shape {shape} in {file}, got {tuple(tensors[name].shape)}"
            )
    # Copied, so that the encoder is in memory and not a view of the file.
    used = {
        name: tensor.to(device=device, dtype=dtype, copy=True)
        for name, tensor in tensors.items()
        if name != "W_dec"
    }
    encoder = JumpReluEncoder(
        used["W_enc"],
        used["b_enc"],
        used["b_dec"],
        used["threshold"],
        read_w_dec=partial(_read_tensor, file, names["W_dec"]),
    )
    return LoadedEncoder(encoder, {names[name]: tensor for name, tensor in used.items()})


def _read_tensors(file: Path, names: Mapping[str, str]) -> "dict[str, torch.Tensor]":
    from safetensors import SafetensorError

    try:
        tensors = {name: _read_tensor(file, names[name]) for name in _DIMENSIONS}
    except (OSError, SafetensorError) as error:
        wanted = ", ".join(names[name] for name in _DIMENSIONS)
        raise SaeError(f"expected {wanted} of a JumpReLU SAE in {file}: {error}") from error
    for name, dimensions in _DIMENSIONS.items():
        if tensors[name].dim() != dimensions:
            raise SaeError(f"expected {names[name]} with {dimensions} dimensions in {file}")
    return tensors


def _read_tensor(file: Path, name: str) -> "torch.Tensor":
    """A view of the file, mapped for it alone: once it is dropped, no page of the file is held."""
    from safetensors import safe_open

    with safe_open(file, framework="pt", device="cpu") as opened:
        tensor: torch.Tensor = opened.get_tensor(name)
    return tensor
