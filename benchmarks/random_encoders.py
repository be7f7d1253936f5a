"""SAEs of random directions in Gemma Scope 2's layout: on a model they are as sparse as trained ones."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

Fit = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""From what (tokens, features) stand before thresholds to bias and threshold of each feature."""


def alike(active: int = 50) -> Fit:
    """One threshold for all, which so many features of a token pass, a quarter of them at most."""

    def fit(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = inputs.shape[1]
        share = min(active, features // 4) / features
        cut = torch.quantile(inputs.flatten()[: 1 << 20], 1 - share)
        return torch.zeros(features), cut.repeat(features)

    return fit


def rare_and_frequent(active: float) -> Fit:
    """Features that pass at rates over many powers of ten, so many at a token on average."""

    def fit(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cut = torch.special.ndtri(1 - firing_rates(inputs.shape[1], active)).float()
        threshold = inputs.mean(0) + cut * inputs.std(0)
        # Rare features have thresholds above zero already; the shift keeps all others there.
        bias = (-threshold).clamp_min(0) + 0.1
        return bias, threshold + bias

    return fit


def firing_rates(features: int, active: float) -> torch.Tensor:
    """(features,) from 1e-5 up, evenly spread over powers of ten, summing to ``active``."""
    low, high = 1e-5, 1.0
    exponents = torch.linspace(0, 1, features, dtype=torch.float64)
    least, most = math.log(low), math.log(high)
    for _ in range(60):
        middle = (least + most) / 2
        rates = low * (math.exp(middle) / low) ** exponents
        least, most = (middle, most) if rates.sum() < active else (least, middle)
    return low * (math.exp(most) / low) ** exponents


def build_saes(
    model: Path, saes: Path, layers: int, features: int, fit: Fit, device: str = "cpu", tokens: int = 64
) -> None:
    """One SAE a layer, fitted to what a model puts out there.

    Args:
        model: Folder of the model.
        saes: Folder for ``layer_0`` and so on.
        layers: How many of its layers get one.
        features: Of each.
        fit: What sets biases and thresholds.
        device: Where it is done.
        tokens: How many it is fitted to.
    """
    from sae_merge_method.corpora.batches import make_batches
    from sae_merge_method.corpora.tokens import Document
    from sae_merge_method.loaded.residual_stream import forward
    from sae_merge_method.loaded.text_model import load_text_model

    loaded = load_text_model(str(model), device=device)
    words = len(loaded.tokenizer)
    ids = np.random.default_rng(0).integers(4, words, tokens)
    (batch,) = make_batches([Document(ids, np.arange(tokens) > 0)], tokens)

    def build(residual: torch.Tensor, layer: int) -> None:
        chance = torch.Generator(residual.device).manual_seed(layer)
        drawn = torch.randn(features, loaded.d_model, generator=chance, device=residual.device)
        w_dec = torch.nn.functional.normalize(drawn)
        bias, threshold = fit(residual.float() @ w_dec.T)
        write_sae(saes / f"layer_{layer}", layer, w_dec, bias, threshold)

    forward(loaded, batch, {layer: partial(build, layer=layer) for layer in range(layers)})


def write_sae(
    folder: Path, layer: int, w_dec: torch.Tensor, bias: torch.Tensor, threshold: torch.Tensor
) -> None:
    """One that reads what it writes, in bfloat16."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    tensors = {
        "w_enc": w_dec.T.contiguous(), "w_dec": w_dec, "b_enc": bias,
        "b_dec": torch.zeros(w_dec.shape[1]), "threshold": threshold,
    }  # fmt: skip
    save_file({name: one.bfloat16().cpu() for name, one in tensors.items()}, folder / "params.safetensors")
    config = {"architecture": "jump_relu", "hf_hook_point_in": f"model.layers.{layer}.output"}
    (folder / "config.json").write_text(json.dumps(config))
