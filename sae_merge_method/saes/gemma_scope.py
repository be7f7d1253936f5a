"""Gemma Scope 2's own files, read without SAELens: ``params.safetensors`` and ``config.json``.

JumpReLU SAEs (Rajamanoharan et al., arXiv 2407.14435) that neither subtract the decoder's bias
from their input nor normalise it. The encoder is loaded; the decoder stays on disk, and is
mapped only while the rows of features that fired are read.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sae_merge_method.errors import SaeError
from sae_merge_method.saes.sae import LoadedSae, product_dtype

if TYPE_CHECKING:
    import torch

PARAMETERS = "params.safetensors"
_CONFIG = "config.json"
_BLOCK = 2048
"""Features whose weights are widened together, where products need another precision."""
_SHAPES = {"w_enc": 2, "w_dec": 2, "b_enc": 1, "b_dec": 1, "threshold": 1}


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


def load_from_folder(folder: Path, dtype: "torch.dtype", device: "torch.device") -> LoadedSae:
    """Read one SAE from a folder that holds its files.

    Raises:
        SaeError: A file is missing or damaged, or it is not a residual-stream JumpReLU SAE.
    """
    return _load(str(folder), folder / PARAMETERS, folder / _CONFIG, dtype, device)


def load_from_hub(repo_id: str, path: str, dtype: "torch.dtype", device: "torch.device") -> LoadedSae:
    """Read one SAE of a Hub repository; without a network, from the local cache and nothing else.

    Raises:
        SaeError: Neither on the Hub nor in the cache, or as for :func:`load_from_folder`.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    where = f"{repo_id}/{path}"
    try:
        parameters, config = (
            Path(hf_hub_download(repo_id, f"{path}/{name}")) for name in (PARAMETERS, _CONFIG)
        )
    except LocalEntryNotFoundError as error:
        raise SaeError(
            f"the SAE {where} is not in the local cache and the Hub cannot be reached "
            "(--layers restricts a diagnosis to the layers that are there)"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise SaeError(f"cannot get the SAE {where} from the Hub: {error}") from error
    return _load(where, parameters, config, dtype, device)


def _load(
    where: str, parameters: Path, config: Path, dtype: "torch.dtype", device: "torch.device"
) -> LoadedSae:
    described = _read_config(where, config)
    tensors = _read_tensors(where, parameters)
    d_in, d_sae = tensors["w_enc"].shape
    expected = {"w_dec": (d_sae, d_in), "b_enc": (d_sae,), "b_dec": (d_in,), "threshold": (d_sae,)}
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise SaeError(f"expected {name} of shape {shape} in {where}, got {tuple(tensors[name].shape)}")
    # Cloned, so that the encoder is in memory and not a view of the file.
    used = {
        name: tensor.to(device=device, dtype=dtype, copy=True)
        for name, tensor in tensors.items()
        if name != "w_dec"
    }
    return LoadedSae(
        encoder=JumpReluEncoder(**used, read_w_dec=partial(_read_tensor, parameters, "w_dec")),
        architecture="jumprelu",
        hook_point=described.get("hf_hook_point_in") or "",
        d_in=d_in,
        d_sae=d_sae,
        parameters=used,
    )


def _read_config(where: str, path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SaeError(f"expected the configuration of a Gemma Scope SAE at {path}: {error}") from error
    if not isinstance(config, dict) or config.get("architecture") != "jump_relu":
        raise SaeError(f"expected the architecture jump_relu in {path} ({where})")
    if config.get("affine_connection") or config.get("type", "sae") != "sae":
        raise SaeError(f"{where} is a transcoder, not an SAE of the residual stream")
    return config


def _read_tensors(where: str, path: Path) -> "dict[str, torch.Tensor]":
    from safetensors import SafetensorError

    try:
        tensors = {name: _read_tensor(path, name) for name in _SHAPES}
    except (OSError, SafetensorError) as error:
        raise SaeError(
            f"expected {', '.join(_SHAPES)} of a Gemma Scope SAE in {path} ({where}): {error}"
        ) from error
    for name, dimensions in _SHAPES.items():
        if tensors[name].dim() != dimensions:
            raise SaeError(f"expected {name} with {dimensions} dimensions in {where}")
    return tensors


def _read_tensor(path: Path, name: str) -> "torch.Tensor":
    """A view of the file, mapped for it alone: once it is dropped, no page of the file is held."""
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as file:
        tensor: torch.Tensor = file.get_tensor(name)
    return tensor
