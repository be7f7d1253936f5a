"""From activations to features: what every SAE's encoder must do, and our own of JumpReLU SAEs.

JumpReLU SAEs (Rajamanoharan et al., arXiv 2407.14435) that neither subtract the decoder's bias
from their input nor normalise it, such as Gemma Scope 2's, are computed here, without SAELens. The
encoder is loaded. On a processor the decoder stays on disk, and is mapped only while the rows of features
that fired are read; any other device holds it, too. All other kinds are left to
:mod:`sae_merge_method.saes.saelens`.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from sae_merge_method.errors import ModelError, SaeError
from sae_merge_method.models.dtypes import DTYPES
from sae_merge_method.models.headers import TensorEntry, read_header
from sae_merge_method.models.precision import product_dtype

if TYPE_CHECKING:
    import torch

_BLOCK = 4096
"""Features whose inputs are made together where not all are needed at once: few enough that what is written
is still near the processor when it is read, so many that the product is as fast as the whole."""
_DIMENSIONS = {"W_enc": 2, "W_dec": 2, "b_enc": 1, "b_dec": 1, "threshold": 1}


class Encoder(Protocol):
    """What the stethoscope needs of an SAE; SAELens' own classes have this shape."""

    def encode(self, x: "torch.Tensor") -> "torch.Tensor":
        """Activations (tokens, d_in) to features (tokens, d_sae), never negative."""
        ...

    def decode(self, feature_acts: "torch.Tensor") -> "torch.Tensor":
        """Features (tokens, d_sae) to reconstructed activations (tokens, d_in)."""
        ...


NORMS_EACH_TOKEN = ("layer_norm", "constant_norm_rescale")
"""SAELens' words for activations that are each normed by themselves, and rescaled when they are decoded."""


def norms_each_token(encoder: Encoder) -> bool:
    """Whether an encoder decodes by the norms of what it has encoded last: once, and nothing else."""
    return getattr(getattr(encoder, "cfg", None), "normalize_activations", None) in NORMS_EACH_TOKEN


def encode(encoder: Encoder, activations: "torch.Tensor") -> "torch.Tensor":
    """Activations (T, d_in) to features (T, d_sae), dense whatever the encoder returns."""
    features = encoder.encode(activations)
    return features.to_dense() if features.is_sparse else features


def reconstruct(encoder: Encoder, activations: "torch.Tensor", features: "torch.Tensor") -> "torch.Tensor":
    """What some activations (n, d_in) are decoded to again, given their features (n, d_sae)."""
    if norms_each_token(encoder):
        features = encode(encoder, activations)
    return encoder.decode(features)


class LoadedEncoder(NamedTuple):
    """An encoder in memory."""

    encoder: Encoder
    parameters: "Mapping[str, torch.Tensor]"
    """Its parameters by the names in their file, in the precision they are used in; no decoder among them."""
    decoder_bytes: int = 0
    """Memory of its decoder, where that is not left on the disk."""

    @property
    def nbytes(self) -> int:
        """Memory of all that it holds."""
        return sum(tensor.nbytes for tensor in self.parameters.values()) + self.decoder_bytes


class JumpReluEncoder:
    """A JumpReLU SAE; on a processor, with its decoder left on disk."""

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
            features = torch.cat([inputs for _, inputs in self.blocks(x)], 1)
        return features.masked_fill_(features <= self.floor, 0)

    def blocks(self, x: "torch.Tensor") -> "Iterator[tuple[slice, torch.Tensor]]":
        """Some features at a time, what each is where it is above its ``floor``, and else nothing.

        Args:
            x: (tokens, d_in) activations.

        Yields:
            Which features, and (tokens, those) their inputs, in the encoder's precision; products are
            taken in the one that is fast, and rounded once.
        """
        import torch

        x = x.to(self.w_enc.dtype).to(self._product)
        for start in range(0, self.w_enc.shape[1], _BLOCK):
            block = slice(start, start + _BLOCK)
            weights, bias = self.w_enc[:, block].to(self._product), self.b_enc[block].to(self._product)
            yield block, torch.addmm(bias, x, weights).to(self.w_enc.dtype)

    def decode(self, feature_acts: "torch.Tensor") -> "torch.Tensor":
        """Activations (tokens, d_in) from features (tokens, d_sae)."""
        import torch

        w_dec, features = self._read_w_dec(), feature_acts.float()
        # Few tokens are decoded: float32 costs nothing, whatever precision is fast here.
        made = self.b_dec.float().expand(len(features), -1)
        if w_dec.device.type == "cpu":
            fired = torch.nonzero((features != 0).any(0)).squeeze(1)
            return torch.addmm(made, features[:, fired], w_dec[fired].float())
        for start in range(0, len(w_dec), _BLOCK):
            block = slice(start, start + _BLOCK)
            made = torch.addmm(made, features[:, block], w_dec[block].float())
        return made


def load_jumprelu(
    file: Path,
    names: Mapping[str, str],
    dtype: "torch.dtype",
    device: "torch.device",
    header: Callable[[Path], Mapping[str, TensorEntry]] = read_header,
) -> LoadedEncoder:
    """Load a JumpReLU SAE's encoder.

    Args:
        file: The weights.
        names: What the file calls W_enc (d, F), W_dec (F, d), b_enc, threshold (F) and b_dec (d).
        dtype: Precision to use it in.
        device: Where.
        header: Reads where in the file each array lies.

    Raises:
        SaeError: A tensor is missing or misshapen, or the file is damaged.
    """
    entries = _entries(file, names, header)
    tensors = {name: _mapped(entry) for name, entry in entries.items()}
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
    # A GPU would stand still while rows are looked for on the disk.
    held = None if device.type == "cpu" else tensors["W_dec"].to(device=device, dtype=dtype)
    encoder = JumpReluEncoder(
        used["W_enc"],
        used["b_enc"],
        used["b_dec"],
        used["threshold"],
        read_w_dec=partial(_mapped, entries["W_dec"]) if held is None else lambda: held,
    )
    parameters = {names[name]: tensor for name, tensor in used.items()}
    return LoadedEncoder(encoder, parameters, 0 if held is None else held.nbytes)


def _entries(
    file: Path, names: Mapping[str, str], header: Callable[[Path], Mapping[str, TensorEntry]]
) -> dict[str, TensorEntry]:
    wanted = ", ".join(names[name] for name in _DIMENSIONS)
    try:
        held = header(file)
    except ModelError as error:
        raise SaeError(f"expected {wanted} of a JumpReLU SAE in {file}: {error}") from error
    for name, dimensions in _DIMENSIONS.items():
        entry = held.get(names[name])
        if entry is None:
            raise SaeError(f"expected {wanted} of a JumpReLU SAE in {file}, {names[name]} is missing")
        if len(entry.shape) != dimensions or not entry.is_float or not entry.n_values:
            held_there = f"{entry.dtype} {list(entry.shape)}"
            raise SaeError(f"expected {names[name]} with {dimensions} dimensions in {file}, got {held_there}")
    return {name: held[names[name]] for name in _DIMENSIONS}


def _mapped(entry: TensorEntry) -> "torch.Tensor":
    """A view of the file, mapped for it alone: once it is dropped, no page of the file is held."""
    import torch

    kind = np.dtype(DTYPES[entry.dtype].numpy)
    stored = np.memmap(entry.file, kind, "c", entry.start, entry.shape)
    # An archive may put numbers where the processor does not like to read them: those are copied.
    tensor = torch.from_numpy(stored if entry.start % kind.itemsize == 0 else np.array(stored))
    return tensor.view(torch.bfloat16) if entry.dtype == "BF16" else tensor
