"""Reading the sparse autoencoders, through SAELens: any of its kinds that this stage can use.

Importing SAELens takes many seconds and a gigabyte, so it happens inside the functions that
read an SAE and nowhere else.
"""

import logging
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sae_merge_method.artifacts.diagnosis import SaeSource
from sae_merge_method.errors import SaeError, UsageError
from sae_merge_method.tensor_names import decoder_layer

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

# Sparse codes of one token each and never negative: what feature usage is defined on.
ARCHITECTURES = ("standard", "topk", "jumprelu", "gated")
_LAYER = "{layer}"
_SAELENS_CONFIG = "cfg.json"
# A block's output, as TransformerLens and as Hugging Face name it.
_RESID_POST = re.compile(r"blocks\.(\d+)\.hook_resid_post")
_BLOCK_MODULE = re.compile(r"((?:\w+\.)*(?:layers|h)\.\d+)(?:\.output)?")


class Encoder(Protocol):
    """What the stethoscope needs of an SAE; SAELens' own classes have this shape."""

    def encode(self, x: "torch.Tensor") -> "torch.Tensor":
        """Activations (tokens, d_in) to features (tokens, d_sae)."""
        ...

    def decode(self, feature_acts: "torch.Tensor") -> "torch.Tensor":
        """Features (tokens, d_sae) to reconstructed activations (tokens, d_in)."""
        ...


class LayerSae(NamedTuple):
    """One layer's SAE, ready to use, and where it came from."""

    layer: int
    encoder: Encoder
    source: SaeSource


class SaeAddress(NamedTuple):
    """Where one layer's SAE lies: a folder (``id`` empty), or an id within a SAELens release."""

    layer: int
    release: str
    id: str
    folder: Path | None


def find_saes(source: str, id_template: str | None, layers: Sequence[int]) -> tuple[SaeAddress, ...]:
    """Find the layers that have an SAE; fewer than the model has is fine.

    Args:
        source: Folder template such as ``saes/layer_{layer}``, a folder, or a SAELens release.
        id_template: Id of a layer's SAE within ``source``, such as ``layer_{layer}_width_16k_l0_small``.
        layers: Layers to look for.

    Raises:
        UsageError: No ``{layer}`` in the template.
        SaeError: No layer has an SAE there, or the release is unknown.
    """
    template = f"{source}/{id_template}" if id_template else source
    if _LAYER not in template:
        raise UsageError(
            f"expected {_LAYER} in --sae or --sae-id to stand for the layer's number, "
            f"such as saes/layer_{_LAYER}; got {template!r}"
        )
    if id_template is None or Path(source).is_dir() or _LAYER in source:
        found = _in_folders(source, template, layers)
    else:
        found = _in_release(source, id_template, layers)
    if not found:
        raise SaeError(f"no SAE found at {template} for any of the layers {min(layers)} to {max(layers)}")
    return found


def load_sae(address: SaeAddress, d_model: int, dtype: "torch.dtype", device: "torch.device") -> LayerSae:
    """Load one layer's SAE.

    Raises:
        SaeError: Unreadable, of an unsupported kind, listening somewhere else than the output of
            this layer's block, or for another width of residual stream.
    """
    from sae_lens import SAE

    where = str(address.folder) if address.folder else f"{address.release} {address.id}"
    name = str(dtype).removeprefix("torch.")
    try:
        if address.folder:
            sae = SAE.load_from_disk(address.folder, device=str(device), dtype=name)
        else:
            sae = SAE.from_pretrained(address.release, address.id, device=str(device), dtype=name)
    except Exception as error:  # SAELens raises whatever its readers meet: KeyError, OSError, RuntimeError
        raise SaeError(f"SAELens cannot read the SAE {where}: {type(error).__name__}: {error}") from error
    config = sae.cfg
    _check_kind(where, config)
    hook = config.metadata.hook_name
    if config.d_in != d_model:
        raise SaeError(
            f"the SAE {where} reads activations of width {config.d_in}, "
            f"the model's residual stream has {d_model}"
        )
    _check_hook(where, hook, address.layer)
    sae.requires_grad_(False)
    return LayerSae(
        layer=address.layer,
        encoder=sae,
        source=SaeSource(
            release=address.release,
            id=address.id,
            sha256=_encoder_sha256(sae),
            architecture=config.architecture(),
            hook_point=hook,
            d_sae=config.d_sae,
        ),
    )


def hooked_block(hook: str) -> int | None:
    """Text decoder block whose output ``hook`` names, or None if it names anything else."""
    if match := _RESID_POST.fullmatch(hook):
        return int(match[1])
    module = _BLOCK_MODULE.fullmatch(hook)
    return decoder_layer(f"{module[1]}.") if module else None


def _in_folders(source: str, template: str, layers: Sequence[int]) -> tuple[SaeAddress, ...]:
    places = [(layer, Path(template.replace(_LAYER, str(layer)))) for layer in layers]
    # The template is kept as the user wrote it: it says where every layer's SAE lies.
    return tuple(
        SaeAddress(layer, template, "", place)
        for layer, place in places
        if (place / _SAELENS_CONFIG).is_file()
    )


def _in_release(release: str, id_template: str, layers: Sequence[int]) -> tuple[SaeAddress, ...]:
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    directory = get_pretrained_saes_directory()
    if release not in directory:
        raise SaeError(f"{release!r} is neither a folder nor a release that SAELens knows")
    known = directory[release].saes_map
    ids = {layer: id_template.replace(_LAYER, str(layer)) for layer in layers}
    found = tuple(SaeAddress(layer, release, id, None) for layer, id in ids.items() if id in known)
    if not found:
        raise SaeError(
            f"the release {release} has no SAE named like {id_template!r}; "
            f"some it has: {', '.join(sorted(known)[:4])}"
        )
    return found


def _check_kind(where: str, config: Any) -> None:
    architecture = config.architecture()
    if architecture not in ARCHITECTURES:
        raise SaeError(
            f"the SAE {where} is of the kind {architecture!r}: expected one of {', '.join(ARCHITECTURES)}"
        )
    if config.normalize_activations == "expected_average_only_in":
        raise SaeError(
            f"the SAE {where} expects activations scaled by a factor that is not stored with it: "
            "fold it in (SAE.fold_activation_norm_scaling_factor) and save it again"
        )
    if config.normalize_activations == "covariance_whitening":
        raise SaeError(
            f"the SAE {where} expects whitened activations: fold the whitening in and save it again"
        )
    if config.reshape_activations != "none":
        raise SaeError(f"the SAE {where} listens inside attention ({config.reshape_activations})")


def _check_hook(where: str, hook: str | None, layer: int) -> None:
    expected = f"expected the output of block {layer}, such as blocks.{layer}.hook_resid_post"
    found = hooked_block(hook or "")
    if found is None:
        raise SaeError(f"the SAE {where} listens at {hook or 'a place it does not name'}: {expected}")
    if found != layer:
        raise SaeError(f"the SAE {where} belongs to another layer, {hook}: {expected}")


def _encoder_sha256(sae: Any) -> str:
    """sha256 over everything but the decoder, by name, in the precision it is used in."""
    import torch

    digest = sha256()
    for name, tensor in sorted(sae.state_dict().items()):
        if name != "W_dec":
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.contiguous().cpu().view(torch.uint8).numpy().data)
    return digest.hexdigest()
