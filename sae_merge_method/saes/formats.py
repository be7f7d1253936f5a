"""Formats of SAEs on disk and on the Hub: one row a format, and nothing else lists them.

A row says which files hold an SAE, how its config, or where there is none its place, is read as one
description that all checks share, and how its encoder is loaded; its decoder is one matrix in the
weights file, features x d_model. A new format is a row here, with whatever function its config or
its encoder needs.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sae_merge_method.models.headers import TensorEntry, read_header
from sae_merge_method.saes import encoders, saelens
from sae_merge_method.saes.checks import RESCALED, SaeDescription
from sae_merge_method.saes.encoders import LoadedEncoder
from sae_merge_method.saes.npz import read_npz_header

if TYPE_CHECKING:
    import torch

Config = Mapping[str, Any]
"""An SAE's config file as it is."""
Describe = Callable[[Config], SaeDescription]


class SaeFiles(NamedTuple):
    """The files of one SAE, on this machine."""

    config: Path | None
    """None for a format without one."""
    weights: Path
    release: tuple[str, str] | None = None
    """Release and id, where the files are a release's in the Hub's cache."""


class Format(NamedTuple):
    """How SAEs of one kind are stored."""

    name: str
    config: str | None
    """Name of the config file, JSON; None where there is none, and the folder's name says what it is."""
    weights: str
    """Name of the file with its arrays."""
    tensors: Mapping[str, str]
    """What the weights file calls the tensors that are read from it, by SAELens' names; W_dec, the
    decoder (F, d), must be among them."""
    architectures: tuple[str, ...]
    """Kinds of encoder that can be read, by SAELens' names."""
    describe: Describe
    """From the config, or where there is none from :func:`told_by_place`, to the description; widths are told
    by the decoder's shape."""
    load_encoder: "Callable[[SaeFiles, torch.dtype, torch.device], LoadedEncoder]"
    conversions: tuple[str | None, ...] = ()
    """SAELens' names of the conversions whose releases are stored so; None stands for no conversion."""
    header: Callable[[Path], Mapping[str, TensorEntry]] = read_header
    """Where in the weights file each array lies."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files in an SAE's folder."""
        return (self.weights,) if self.config is None else (self.config, self.weights)

    @property
    def decoder(self) -> str:
        """What the weights file calls the decoder."""
        return self.tensors["W_dec"]


def format_of_folder(folder: Path) -> Format | None:
    """The format of the SAE in a folder, told by its weights file or its config; None if there is none."""
    for kind in FORMATS.values():
        if (folder / kind.weights).is_file():
            return kind
    return next((kind for kind in FORMATS.values() if kind.config and (folder / kind.config).is_file()), None)


def format_of_release(conversion: str | None) -> Format | None:
    """The format of releases that SAELens reads with that conversion; None if it alone can read them."""
    return next((kind for kind in FORMATS.values() if conversion in kind.conversions), None)


def files_of_formats() -> str:
    """What a folder with an SAE holds, for messages."""
    return " or ".join(f"{' and '.join(kind.files)} ({kind.name})" for kind in FORMATS.values())


def told_by_place(place: str, layer: int) -> Config:
    """What stands in the place of a config where there is none.

    Args:
        place: Folder, or repository and path, in which the SAE lies.
        layer: The layer that its user takes it for.
    """
    return {"place": place, "layer": layer}


def describe_saelens(config: Config) -> SaeDescription:
    """SAELens' ``cfg.json``: since version 6 with hooks in ``metadata``, before it with all at the top."""
    metadata = config.get("metadata")
    model = {**config, **metadata} if isinstance(metadata, dict) else config
    hook = str(model.get("hook_name") or model.get("hook_point") or model.get("hf_hook_name") or "")
    written_to = model.get("hook_name_out") or hook
    architecture = str(config.get("architecture", "standard"))
    if "topk" in (config.get("activation_fn"), config.get("activation_fn_str")):
        architecture = "topk"  # before version 6 an activation of "standard"
    normalization = config.get("normalize_activations")
    if isinstance(normalization, bool):
        normalization = RESCALED if normalization else "none"
    loaded = model.get("model_from_pretrained_kwargs")
    return SaeDescription(
        architecture=architecture,
        hook_point=hook,
        is_centred=isinstance(loaded, dict) and bool(loaded.get("center_writing_weights")),
        is_transcoder=architecture.endswith("transcoder") or written_to != hook,
        normalization=str(normalization or "none"),
        reshaping=str(config.get("reshape_activations") or ("hook_z" if "hook_z" in hook else "none")),
        neuronpedia=model.get("neuronpedia_id"),
    )


def describe_gemma_scope_2(config: Config) -> SaeDescription:
    """Gemma Scope 2's ``config.json``; no bias is subtracted from the input, nothing is normalised."""
    architecture = str(config.get("architecture", ""))
    hook = str(config.get("hf_hook_point_in") or "")
    writes_elsewhere = (config.get("hf_hook_point_out") or hook) != hook
    return SaeDescription(
        architecture="jumprelu" if architecture == "jump_relu" else architecture,
        hook_point=hook,
        is_transcoder=bool(config.get("affine_connection"))
        or config.get("type", "sae") != "sae"
        or writes_elsewhere,
    )


def describe_gemma_scope(config: Config) -> SaeDescription:
    """Gemma Scope's folders, such as ``gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71``: by name.

    Where no part of the name tells the layer or the place, the user's word is taken for it.
    """
    parts = re.split(r"[/\\]", str(config["place"]).lower())
    named = [match for match in map(_GEMMA_SCOPE_LAYER.match, parts) if match]
    layer = int(named[-1][1]) if named else int(config["layer"])
    kinds = [match[1] for match in map(_GEMMA_SCOPE_KIND.search, parts) if match]
    hook = _GEMMA_SCOPE_HOOKS[kinds[-1] if kinds else "res"].format(layer=layer)
    return SaeDescription(
        architecture="jumprelu",
        hook_point="hook_embed" if "embedding" in parts else hook,
        is_transcoder=kinds[-1:] == ["transcoders"],
    )


_GEMMA_SCOPE_LAYER = re.compile(r"layer_(\d{1,6})(?:$|[^\d])", re.ASCII)
_GEMMA_SCOPE_KIND = re.compile(r"gemma-scope-.*-(res|att|mlp|transcoders)\b", re.ASCII)
_GEMMA_SCOPE_HOOKS = {
    "res": "blocks.{layer}.hook_resid_post",
    "att": "blocks.{layer}.attn.hook_z",
    "mlp": "blocks.{layer}.hook_mlp_out",
    "transcoders": "blocks.{layer}.ln2.hook_normalized",
}
_GEMMA_SCOPE = {name: name for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")}
_GEMMA_SCOPE_2 = {name: name.lower() for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")}


def _load_saelens(files: SaeFiles, dtype: "torch.dtype", device: "torch.device") -> LoadedEncoder:
    if files.release is not None:  # SAELens applies what its table of releases says beyond the files
        return saelens.load_release(*files.release, dtype, device)
    return saelens.load_folder(files.weights.parent, dtype, device)


def _load_gemma_scope_2(files: SaeFiles, dtype: "torch.dtype", device: "torch.device") -> LoadedEncoder:
    return encoders.load_jumprelu(files.weights, _GEMMA_SCOPE_2, dtype, device)


def _load_gemma_scope(files: SaeFiles, dtype: "torch.dtype", device: "torch.device") -> LoadedEncoder:
    return encoders.load_jumprelu(files.weights, _GEMMA_SCOPE, dtype, device, read_npz_header)


FORMATS: dict[str, Format] = {
    kind.name: kind
    for kind in (
        Format(
            name="SAELens",
            config="cfg.json",
            weights="sae_weights.safetensors",
            tensors={"W_dec": "W_dec"},
            architectures=saelens.ARCHITECTURES,
            describe=describe_saelens,
            load_encoder=_load_saelens,
            conversions=(None, "sae_lens"),
        ),
        Format(
            name="Gemma Scope 2",
            config="config.json",
            weights="params.safetensors",
            tensors=_GEMMA_SCOPE_2,
            architectures=("jumprelu",),
            describe=describe_gemma_scope_2,
            load_encoder=_load_gemma_scope_2,
            conversions=("gemma_3",),
        ),
        Format(
            name="Gemma Scope",
            config=None,
            weights="params.npz",
            tensors=_GEMMA_SCOPE,
            architectures=("jumprelu",),
            describe=describe_gemma_scope,
            load_encoder=_load_gemma_scope,
            conversions=("gemma_2",),
            header=read_npz_header,
        ),
    )
}
"""All formats by name; a folder that could be of two is of the first."""
