"""A base, a donor, SAEs and a diagnosis that belong together: random weights, milliseconds to build."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file

from sae_merge_method.artifacts.diagnosis import read_diagnosis, write_diagnosis
from sae_merge_method.artifacts.layer_usage import LayerUsage, pack_layer
from sae_merge_method.artifacts.usage import Documents, write_usage
from tests import tiny
from tests.diagnoses import save_diagnosis

D_SAE = 32  # what tests.diagnoses says
SCORES = {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8}
N_DOCUMENTS = 6


class Scene(NamedTuple):
    """Folders of one edit."""

    base: Path
    donor: Path
    saes: str
    """Folder template."""
    diagnosis: Path
    decoders: dict[int, torch.Tensor]
    """(d_sae, d) by layer."""


def build(
    root: Path,
    *,
    change: Callable[[tiny.Tensors], None] | None = None,
    of_base: Callable[[tiny.Tensors], None] | None = None,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> Scene:
    """Write everything under ``root``; ``change`` may alter the donor's tensors, ``of_base`` the base's."""
    base = tiny.gemma3_text(root / "base", 2 * seed, dtype=dtype, change=of_base)
    donor = tiny.gemma3_text(root / "donor", 2 * seed + 1, dtype=dtype, change=change)
    decoders = {layer: random_decoder(layer) for layer in SCORES}
    for layer, decoder in decoders.items():
        save_sae(root / "saes" / f"layer_{layer}", layer, decoder)
    template = f"{root}/saes/layer_{{layer}}"
    diagnosis = save_diagnosis(root / "diagnosis", base, SCORES)
    found = read_diagnosis(diagnosis)
    layers = tuple(
        entry.model_copy(update={"sae": entry.sae.model_copy(update={"release": template})})
        for entry in found.layers
    )
    write_diagnosis(diagnosis, found.model_copy(update={"layers": layers}))
    write_usage(diagnosis, documents(), {layer: usage(layer) for layer in SCORES})
    return Scene(base, donor, template, diagnosis, decoders)


def documents() -> Documents:
    return Documents(np.arange(N_DOCUMENTS) * 2 // N_DOCUMENTS, np.arange(N_DOCUMENTS))


def usage(layer: int) -> LayerUsage:
    """Feature j of the even ones is used by target documents only, the more the lower j; odd ones by all."""
    rows = []
    generator = np.random.default_rng(layer)
    for is_target in documents().is_target:
        active = [j for j in range(D_SAE) if is_target or j % 2]
        means = np.array([(D_SAE - j) * 0.1 + 0.01 * generator.random() for j in active])
        rows.append((np.array(active), means, np.full(len(active), 5)))
    return pack_layer(
        D_SAE,
        np.full(N_DOCUMENTS, 10),
        np.array([len(row[0]) for row in rows]),
        *(np.concatenate([row[part] for row in rows]) for part in range(3)),
    )


def random_decoder(layer: int) -> torch.Tensor:
    return torch.randn(D_SAE, tiny.D_MODEL, generator=torch.Generator().manual_seed(100 + layer))


def save_sae(folder: Path, layer: int, decoder: torch.Tensor) -> None:
    """An SAE in SAELens' layout; only its decoder matters here."""
    folder.mkdir(parents=True)
    save_file({"W_dec": decoder, "W_enc": decoder.T.contiguous()}, folder / "sae_weights.safetensors")
    config = {
        "architecture": "standard",
        "d_in": decoder.shape[1],
        "d_sae": decoder.shape[0],
        "metadata": {"hook_name": f"blocks.{layer}.hook_resid_post"},
    }
    (folder / "cfg.json").write_text(json.dumps(config))
