"""One SAE per layer on the base's residual stream, by SAELens' own BatchTopK class and trainer.

The activations are read with forward hooks on the decoder blocks and held in memory; how a
diagnosis uses the SAEs is not this module's business. Importing SAELens takes many seconds, so
only :func:`train_saes` does it.
"""

from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from sae_merge_method.miniature.settings import MiniatureSettings
from sae_merge_method.miniature.training import Example, pad

if TYPE_CHECKING:
    import torch
    from transformers import Gemma3ForCausalLM

FOLDER_TEMPLATE = "layer_{layer}"
_NORM_BATCHES = 10
"""Enough for an average norm; SAELens' default of 1000 costs more than the training."""

_THRESHOLD_RATE = 0.05
"""How fast the saved threshold follows the batches'; at SAELens' 0.01 it lags in so short a training."""


def train_saes(
    model: "Gemma3ForCausalLM", examples: list[Example], settings: MiniatureSettings, out: Path
) -> None:
    """Train an SAE for every decoder layer and save each under ``out/layer_<n>``.

    Args:
        model: The base model, left as it is.
        examples: Text to read; all its tokens but ``<bos>`` are used.
        settings: Width, sparsity, budget and seed.
        out: Folder that receives one SAELens inference SAE (jumprelu) per layer.
    """
    import torch

    torch.set_num_threads(1)
    activations = residual_stream(model, examples)
    steps = settings.sae_tokens // settings.sae_batch
    with tqdm(total=steps * len(activations), desc="SAEs", unit="step", disable=None) as bar:
        for layer, states in enumerate(activations):
            _train_one(states, layer, settings, bar).save_inference_model(
                out / FOLDER_TEMPLATE.format(layer=layer)
            )


def residual_stream(model: "Gemma3ForCausalLM", examples: list[Example]) -> "list[torch.Tensor]":
    """Output of every decoder block at every token but ``<bos>``: one tokens x d_model tensor a layer."""
    import torch

    blocks = model.model.layers
    kept: list[list[torch.Tensor]] = [[] for _ in blocks]
    counted = torch.empty(0, dtype=torch.bool)

    def keeper(layer: int) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            states = output[0] if isinstance(output, tuple) else output
            kept[layer].append(states[counted])

        return hook

    handles = [block.register_forward_hook(keeper(layer)) for layer, block in enumerate(blocks)]
    try:
        with torch.no_grad():
            for at in range(0, len(examples), 64):
                batch = examples[at : at + 64]
                ids = pad(batch)
                lengths = torch.tensor([len(example.ids) for example in batch])
                counted = torch.arange(ids.shape[1])[None] < lengths[:, None]
                counted[:, 0] = False
                model.model(input_ids=ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return [torch.cat(states) for states in kept]


def _train_one(states: "torch.Tensor", layer: int, settings: MiniatureSettings, bar: Any) -> Any:
    import torch
    from sae_lens import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, LoggingConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(settings.seed * 1000 + layer)
    sae = BatchTopKTrainingSAE(
        BatchTopKTrainingSAEConfig(
            d_in=settings.d_model,
            d_sae=settings.sae_width,
            k=settings.sae_k,
            topk_threshold_lr=_THRESHOLD_RATE,
            normalize_activations="expected_average_only_in",
            metadata=SAEMetadata(
                model_name="sae-merge miniature", hook_name=f"blocks.{layer}.hook_resid_post"
            ),
        )
    )
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=settings.sae_tokens // settings.sae_batch * settings.sae_batch,
            train_batch_size_samples=settings.sae_batch,
            lr=settings.sae_learning_rate,
            lr_end=settings.sae_learning_rate / 10,
            lr_decay_steps=settings.sae_tokens // settings.sae_batch // 5,
            n_batches_for_norm_estimate=_NORM_BATCHES,
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=sae,
        data_provider=_batches(states, settings.sae_batch, seed=settings.seed * 1000 + layer, bar=bar),
    )
    # SAELens shows a bar of its own for every SAE, even where there is no terminal.
    with redirect_stderr(StringIO()):
        return trainer.fit()


def _batches(states: "torch.Tensor", size: int, seed: int, bar: Any) -> "Iterator[torch.Tensor]":
    """Endless shuffled batches of activations."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(states), generator=generator)
        for at in range(0, len(order) - size + 1, size):
            bar.update(1)
            yield states[order[at : at + size]]
