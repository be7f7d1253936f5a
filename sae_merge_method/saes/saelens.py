"""What is left to SAELens: encoders of its own format, and releases that it alone can read.

Importing SAELens takes many seconds and a gigabyte, so it happens inside the functions here, and
whatever can be known without it is known before they are called.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sae_merge_method.errors import SaeError
from sae_merge_method.models.precision import product_dtype
from sae_merge_method.saes.encoders import LoadedEncoder

if TYPE_CHECKING:
    import torch

ARCHITECTURES = ("standard", "topk", "jumprelu", "gated")
"""SAELens' kinds whose codes are of one token each and never negative."""


def load_folder(folder: Path, dtype: "torch.dtype", device: "torch.device") -> LoadedEncoder:
    """The encoder of an SAE that SAELens saved.

    Raises:
        SaeError: SAELens cannot read it.
    """
    from sae_lens import SAE

    name = _name(product_dtype(dtype, device))
    return _encoder(_read(str(folder), lambda: SAE.load_from_disk(folder, device=str(device), dtype=name)))


def load_release(release: str, id: str, dtype: "torch.dtype", device: "torch.device") -> LoadedEncoder:
    """The encoder of an SAE of a release, from the Hub or its cache.

    Raises:
        SaeError: SAELens cannot read it.
    """
    from sae_lens import SAE

    name = _name(product_dtype(dtype, device))
    return _encoder(
        _read(f"{release} {id}", lambda: SAE.from_pretrained(release, id, device=str(device), dtype=name))
    )


def read_release_config(release: str, id: str) -> dict[str, Any]:
    """What SAELens makes of the config of a release in another format than its own: one of its own.

    Raises:
        SaeError: SAELens cannot read it.
    """
    from sae_lens.loading.pretrained_sae_loaders import load_sae_config_from_huggingface

    config: dict[str, Any] = _read(f"{release} {id}", lambda: load_sae_config_from_huggingface(release, id))
    return config


def read_release_decoder(release: str, id: str) -> npt.NDArray[np.float32]:
    """Decoder directions (F, d) of a release in another format than SAELens' own.

    Raises:
        SaeError: SAELens cannot read it.
    """
    from sae_lens import SAE

    sae = _read(f"{release} {id}", lambda: SAE.from_pretrained(release, id, device="cpu", dtype="float32"))
    directions: npt.NDArray[np.float32] = sae.W_dec.detach().numpy()
    return directions


def _encoder(sae: Any) -> LoadedEncoder:
    sae.requires_grad_(False)
    sae.turn_off_forward_pass_hook_z_reshaping()  # heads come side by side here, not one by one
    parameters = dict(sae.state_dict())
    decoder = parameters.pop("W_dec")
    return LoadedEncoder(sae, parameters, decoder.nbytes)


_RUNS_CODE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def _read(where: str, read: Callable[[], Any]) -> Any:
    try:
        with _weights_only():
            return read()
    except Exception as error:  # SAELens and the Hub's client raise whatever they meet: KeyError, OSError
        raise SaeError(f"SAELens cannot read the SAE {where}: {type(error).__name__}: {error}") from error


@contextmanager
def _weights_only() -> Iterator[None]:
    """Let no pickle run code: some releases are ``.pt`` files, of which torch reads the tensors alone.

    SAELens leaves it to torch's own default, which a variable of the environment overrides.
    """
    overridden = os.environ.pop(_RUNS_CODE, None)
    try:
        yield
    finally:
        if overridden is not None:
            os.environ[_RUNS_CODE] = overridden


def _name(dtype: "torch.dtype") -> str:
    return str(dtype).removeprefix("torch.")
