"""The sparse autoencoders of a model's layers: where they lie, and whether they fit.

Reading them is left to ``saelens`` (any format SAELens reads) and ``gemma_scope`` (Gemma Scope 2's
own files, without SAELens).
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.artifacts.diagnosis import SaeSource
from sae_merge_method.errors import SaeError, UsageError
from sae_merge_method.models.tensor_names import decoder_layer
from sae_merge_method.saes import gemma_scope, saelens
from sae_merge_method.saes import releases as sae_releases
from sae_merge_method.saes.sae import Encoder

if TYPE_CHECKING:
    import torch

_LAYER = "{layer}"
# A block's output, as TransformerLens and as Hugging Face name it.
_RESID_POST = re.compile(r"blocks\.(\d+)\.hook_resid_post")
_BLOCK_MODULE = re.compile(r"((?:\w+\.)*(?:layers|h)\.\d+)(?:\.output)?")


class LayerSae(NamedTuple):
    """One layer's SAE, ready to use, and where it came from."""

    layer: int
    encoder: Encoder
    source: SaeSource
    encoder_bytes: int
    """Memory of the encoder."""

    @property
    def key(self) -> str:
        """Names this very SAE: another one in the same place has another key."""
        return f"layer-{self.layer:03d}-{self.source.sha256[:16]}"


class SaeAddress(NamedTuple):
    """Where one layer's SAE lies: a folder (``id`` empty), or an id within a SAELens release."""

    layer: int
    release: str
    id: str
    folder: Path | None

    def __str__(self) -> str:
        return str(self.folder) if self.folder else f"{self.release} {self.id}"


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
        found = _in_folders(template, layers)
    else:
        found = _in_release(source, id_template, layers)
    if not found:
        raise SaeError(
            f"no SAE found at {template} for any of the layers {min(layers)} to {max(layers)}: "
            f"expected a folder with {saelens.CONFIG} (SAELens) or {gemma_scope.PARAMETERS} (Gemma Scope 2)"
        )
    return found


def load_sae(address: SaeAddress, d_model: int, dtype: "torch.dtype", device: "torch.device") -> LayerSae:
    """Load one layer's SAE.

    Raises:
        SaeError: Unreadable, of an unsupported kind, listening somewhere else than the output of
            this layer's block, or for another width of residual stream.
    """
    if address.folder is None:
        entry = sae_releases.find_entry(address.release, address.id)
        if entry.is_gemma_scope_2:
            sae = gemma_scope.load_from_hub(entry.repo_id, entry.path, dtype, device)
            sae = sae._replace(neuronpedia=entry.neuronpedia)
        else:
            sae = saelens.load_from_release(address.release, address.id, dtype, device)
    elif (address.folder / gemma_scope.PARAMETERS).is_file():
        sae = gemma_scope.load_from_folder(address.folder, dtype, device)
    else:
        sae = saelens.load_from_folder(address.folder, dtype, device)
    if sae.d_in != d_model:
        raise SaeError(
            f"the SAE {address} reads activations of width {sae.d_in}, "
            f"the model's residual stream has {d_model}"
        )
    _check_hook(str(address), sae.hook_point, address.layer)
    return LayerSae(
        layer=address.layer,
        encoder=sae.encoder,
        source=SaeSource(
            release=address.release,
            id=address.id,
            sha256=_parameters_sha256(sae.parameters),
            architecture=sae.architecture,
            hook_point=sae.hook_point,
            d_sae=sae.d_sae,
            neuronpedia=sae.neuronpedia,
        ),
        encoder_bytes=sum(tensor.nbytes for tensor in sae.parameters.values()),
    )


def hooked_block(hook: str) -> int | None:
    """Text decoder block whose output ``hook`` names, or None if it names anything else."""
    if match := _RESID_POST.fullmatch(hook):
        return int(match[1])
    module = _BLOCK_MODULE.fullmatch(hook)
    return decoder_layer(f"{module[1]}.output") if module else None


def _in_folders(template: str, layers: Sequence[int]) -> tuple[SaeAddress, ...]:
    places = [(layer, Path(template.replace(_LAYER, str(layer)))) for layer in layers]
    # The template is kept as the user wrote it: it says where every layer's SAE lies.
    return tuple(
        SaeAddress(layer, template, "", place)
        for layer, place in places
        if (place / saelens.CONFIG).is_file() or (place / gemma_scope.PARAMETERS).is_file()
    )


def _in_release(release: str, id_template: str, layers: Sequence[int]) -> tuple[SaeAddress, ...]:
    known = sae_releases.release_ids(release)
    ids = {layer: id_template.replace(_LAYER, str(layer)) for layer in layers}
    found = tuple(SaeAddress(layer, release, id, None) for layer, id in ids.items() if id in known)
    if not found:
        raise SaeError(
            f"the release {release} has no SAE named like {id_template!r}; "
            f"some it has: {', '.join(sorted(known)[:4])}"
        )
    return found


def _check_hook(where: str, hook: str, layer: int) -> None:
    expected = f"expected the output of block {layer}, such as blocks.{layer}.hook_resid_post"
    found = hooked_block(hook)
    if found is None:
        raise SaeError(f"the SAE {where} listens at {hook or 'a place it does not name'}: {expected}")
    if found != layer:
        raise SaeError(f"the SAE {where} belongs to another layer, {hook}: {expected}")


def _parameters_sha256(parameters: "Mapping[str, torch.Tensor]") -> str:
    """sha256 over the encoder's parameters by name, in the precision they are used in."""
    import torch

    digest = sha256()
    for name, tensor in sorted(parameters.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().cpu().view(torch.uint8).numpy().data)
    return digest.hexdigest()
