"""Formats of SAEs on disk and on the Hub: one row a format, and nothing else lists them.

A row says which files hold an SAE, how its config is read as one description that all checks
share, and how its encoder is loaded; its decoder is one matrix in the weights file, features x
d_model. A new format is a row here, with whatever function its config or its encoder needs.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sae_merge_method.saes import encoders, saelens
from sae_merge_method.saes.checks import RESCALED, SaeDescription
from sae_merge_method.saes.encoders import LoadedEncoder

if TYPE_CHECKING:
    import torch

Config = Mapping[str, Any]
"""An SAE's config file as it is."""
Describe = Callable[[Config], SaeDescription]


class SaeFiles(NamedTuple):
    """The files of one SAE, on this machine."""

    config: Path
    weights: Path
    release: tuple[str, str] | None = None
    """Release and id, where the files are a release's in the Hub's cache."""


class Format(NamedTuple):
    """How SAEs of one kind are stored."""

    name: str
    config: str
    """Name of the config file, JSON."""
    weights: str
    """Name of the safetensors file beside it."""
    tensors: Mapping[str, str]
    """What the weights file calls the tensors that are read from it, by SAELens' names; W_dec, the
    decoder (F, d), must be among them."""
    architectures: tuple[str, ...]
    """Kinds of encoder that can be read, by SAELens' names."""
    describe: Describe
    """From the config to the description; widths are told by the decoder's shape."""
    load_encoder: "Callable[[SaeFiles, torch.dtype, torch.device], LoadedEncoder]"
    conversions: tuple[str | None, ...] = ()
    """SAELens' names of the conversions whose releases are stored so; None stands for no conversion."""

    @property
    def decoder(self) -> str:
        """What the weights file calls the decoder."""
        return self.tensors["W_dec"]


def format_of_folder(folder: Path) -> Format | None:
    """The format of the SAE in a folder, told by its weights file or its config; None if there is none."""
    for kind in FORMATS.values():
        if (folder / kind.weights).is_file():
            return kind
    return next((kind for kind in FORMATS.values() if (folder / kind.config).is_file()), None)


def format_of_release(conversion: str | None) -> Format | None:
    """The format of releases that SAELens reads with that conversion; None if it alone can read them."""
    return next((kind for kind in FORMATS.values() if conversion in kind.conversions), None)


def files_of_formats() -> str:
    """What a folder with an SAE holds, for messages."""
    return " or ".join(f"{kind.config} and {kind.weights} ({kind.name})" for kind in FORMATS.values())


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
    return SaeDescription(
        architecture=architecture,
        hook_point=hook,
        is_transcoder=architecture.endswith("transcoder") or written_to != hook,
        normalization=str(normalization or "none"),
        reshaping=str(config.get("reshape_activations") or ("hook_z" if "hook_z" in hook else "none")),
        neuronpedia=model.get("neuronpedia_id"),
    )


def describe_gemma_scope_2(config: Config) -> SaeDescription:
    """Gemma Scope 2's ``config.json``; no bias is subtracted from the input, nothing is normalised."""
    architecture = str(config.get("architecture", ""))
    return SaeDescription(
        architecture="jumprelu" if architecture == "jump_relu" else architecture,
        hook_point=str(config.get("hf_hook_point_in") or ""),
        is_transcoder=bool(config.get("affine_connection")) or config.get("type", "sae") != "sae",
    )


_GEMMA_SCOPE_2 = {name: name.lower() for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")}


def _load_saelens(files: SaeFiles, dtype: "torch.dtype", device: "torch.device") -> LoadedEncoder:
    if files.release is not None:  # SAELens applies what its table of releases says beyond the files
        return saelens.load_release(*files.release, dtype, device)
    return saelens.load_folder(files.weights.parent, dtype, device)


def _load_gemma_scope_2(files: SaeFiles, dtype: "torch.dtype", device: "torch.device") -> LoadedEncoder:
    return encoders.load_jumprelu(files.weights, _GEMMA_SCOPE_2, dtype, device)


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
    )
}
"""All formats by name; a folder that could be of two is of the first."""
