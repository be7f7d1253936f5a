"""One sparse autoencoder: what its encoder must do, and the directions of its decoder."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sae_merge_method.errors import SaeError
from sae_merge_method.models.headers import TensorEntry, read_header
from sae_merge_method.models.reading import read_rows

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


Floats = npt.NDArray[np.floating]

LAYER = "{layer}"
# Weights file, name of the decoder in it, and the config beside it.
_LAYOUTS = (
    ("sae_weights.safetensors", "W_dec", "cfg.json"),  # SAELens
    ("params.safetensors", "w_dec", "config.json"),  # Gemma Scope 2
)
_GEMMA_SCOPE_2 = "gemma_3"
"""SAELens' name for the reader of Gemma Scope 2's layout."""
_HOOKED_BLOCK = re.compile(r"(?:^|\.)(?:blocks|layers|h)\.(\d+)(?:\.|$)")


@dataclass(frozen=True, eq=False)
class Decoder:
    """One layer's decoder: F directions of width d."""

    where: str
    """How messages name it."""
    matrix: TensorEntry | Floats
    """(F, d), on disk or in memory."""

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return int(self.matrix.shape[0])

    @property
    def d(self) -> int:
        """Width of the residual stream."""
        return int(self.matrix.shape[1])

    def directions(self, features: Sequence[int]) -> Floats:
        """Rows (k, d) of the given features.

        Raises:
            SaeError: A feature it does not have.
        """
        outside = [feature for feature in features if not 0 <= feature < self.d_sae]
        if outside:
            raise SaeError(
                f"the SAE {self.where} has {self.d_sae} features, 0 to {self.d_sae - 1}; "
                f"feature {outside[0]} was asked for"
            )
        if isinstance(self.matrix, TensorEntry):
            return read_rows(self.matrix, features)
        return self.matrix[list(features)]


def open_decoder(sae: str, sae_id: str | None, layer: int) -> Decoder:
    """Find one layer's decoder.

    Args:
        sae: Folder, folder template with ``{layer}``, or a SAELens release.
        sae_id: Id of the SAE within ``sae``; may hold ``{layer}`` too.
        layer: The layer whose SAE it is.

    Raises:
        SaeError: Nothing there, a layout that is not known, or the SAE of another layer.
    """
    template = f"{sae}/{sae_id}" if sae_id else sae
    folder = Path(template.replace(LAYER, str(layer))).expanduser()
    if folder.is_dir():
        return _in_folder(folder, layer)
    if sae_id is None or LAYER in sae or Path(sae).is_dir():
        raise SaeError(
            f"no SAE of layer {layer}: there is no folder {folder}; relative folders are sought from the "
            "working folder, and sae: in the recipe (--sae) names another place"
        )
    return _in_release(sae, sae_id.replace(LAYER, str(layer)), layer)


def _in_folder(folder: Path, layer: int) -> Decoder:
    for weights, name, config in _LAYOUTS:
        if (folder / weights).is_file():
            _check_config(folder / config, layer)
            return _in_file(folder / weights, name)
    raise SaeError(f"no SAE in {folder}: expected {' or '.join(layout[0] for layout in _LAYOUTS)}")


def _in_file(file: Path, name: str) -> Decoder:
    entry = read_header(file).get(name)
    if entry is None or len(entry.shape) != 2:
        found = "nothing of that name" if entry is None else f"shape {list(entry.shape)}"
        raise SaeError(f"{file}: expected a decoder matrix {name}, features x d_model, found {found}")
    return Decoder(str(file.parent), entry)


def _check_config(path: Path, layer: int) -> None:
    """Refuse the SAE of another layer, and one whose directions are not the residual stream's."""
    if not path.is_file():
        return
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8"))
        places = {**config, **(config.get("metadata") or {})}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise SaeError(f"expected an SAE's config (a JSON object) at {path}: {error}") from error
    if places.get("normalize_activations") == "covariance_whitening":
        raise SaeError(
            f"the SAE {path.parent} decodes whitened activations: fold the whitening in and save it again"
        )
    for key in ("hook_name", "hf_hook_name", "hf_hook_point_in"):
        block = _HOOKED_BLOCK.search(str(places.get(key) or ""))
        if block and int(block[1]) != layer:
            raise SaeError(f"the SAE {path.parent} belongs to layer {block[1]} ({places[key]}), not {layer}")


def _in_release(release: str, sae_id: str, layer: int) -> Decoder:
    from sae_lens import SAE
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    where = f"{release} {sae_id}"
    known = get_pretrained_saes_directory().get(release)
    if known is None:
        raise SaeError(f"{release!r} is neither a folder nor a release that SAELens knows")
    if sae_id not in known.saes_map:
        raise SaeError(f"the release {release} has no SAE {sae_id!r} for layer {layer}")
    try:
        if known.conversion_func == _GEMMA_SCOPE_2:
            from huggingface_hub import hf_hub_download

            # Not through SAELens: it asks the Hub for the file's header even where it is cached.
            file = hf_hub_download(known.repo_id, f"{known.saes_map[sae_id]}/params.safetensors")
            return _in_file(Path(file), "w_dec")
        weights = SAE.from_pretrained(release, sae_id, device="cpu", dtype="float32").W_dec
        return Decoder(where, weights.detach().numpy())
    except SaeError:
        raise
    except Exception as error:  # SAELens and the Hub raise whatever their readers meet
        raise SaeError(f"cannot read the SAE {where}: {type(error).__name__}: {error}") from error
