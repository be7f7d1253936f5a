"""Reading SAEs through SAELens, and refusing the kinds that feature usage is not defined on.

Importing SAELens takes many seconds and a gigabyte, so it happens inside the functions here.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sae_merge_method.errors import SaeError
from sae_merge_method.saes.sae import LoadedSae, product_dtype

if TYPE_CHECKING:
    import torch

CONFIG = "cfg.json"
# Sparse codes of one token each and never negative.
ARCHITECTURES = ("standard", "topk", "jumprelu", "gated")


def load_from_folder(folder: Path, dtype: "torch.dtype", device: "torch.device") -> LoadedSae:
    """Read an SAE that SAELens saved (``cfg.json``, ``sae_weights.safetensors``).

    Raises:
        SaeError: SAELens cannot read it, or it is of a kind that cannot be used.
    """
    from sae_lens import SAE

    try:
        sae = SAE.load_from_disk(folder, device=str(device), dtype=_name(product_dtype(dtype, device)))
    except Exception as error:  # SAELens raises whatever its readers meet: KeyError, OSError, RuntimeError
        raise _unreadable(str(folder), error) from error
    return _checked(str(folder), sae)


def load_from_release(release: str, id: str, dtype: "torch.dtype", device: "torch.device") -> LoadedSae:
    """Read an SAE of a SAELens release, from the Hub or its cache.

    Raises:
        SaeError: SAELens cannot read it, or it is of a kind that cannot be used.
    """
    from sae_lens import SAE

    where = f"{release} {id}"
    try:
        sae = SAE.from_pretrained(release, id, device=str(device), dtype=_name(product_dtype(dtype, device)))
    except Exception as error:  # as above, and whatever the Hub's client raises
        raise _unreadable(where, error) from error
    return _checked(where, sae)


def _checked(where: str, sae: Any) -> LoadedSae:
    config = sae.cfg
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
    sae.requires_grad_(False)
    return LoadedSae(
        encoder=sae,
        architecture=architecture,
        hook_point=config.metadata.hook_name or "",
        d_in=config.d_in,
        d_sae=config.d_sae,
        parameters={name: tensor for name, tensor in sae.state_dict().items() if name != "W_dec"},
        neuronpedia=config.metadata.neuronpedia_id,
    )


def _unreadable(where: str, error: Exception) -> SaeError:
    return SaeError(f"SAELens cannot read the SAE {where}: {type(error).__name__}: {error}")


def _name(dtype: "torch.dtype") -> str:
    return str(dtype).removeprefix("torch.")
