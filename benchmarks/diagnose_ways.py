"""The ways that ``diagnose.py`` holds against each other: each makes what does the whole work once."""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from sae_merge_method.diagnose.chunks import Chunk
    from sae_merge_method.loaded.text_model import TextModel
    from sae_merge_method.saes.sae import LayerSae

STRIDE = 512_000 // 8192


class Given(NamedTuple):
    """What all of them encode."""

    model: "TextModel"
    saes: "Sequence[LayerSae]"
    chunks: "Sequence[Chunk]"
    options: argparse.Namespace
    work: Path
    """With the model's folder."""


def bare_way(given: Given, *, products: bool) -> Callable[[], None]:
    """The model's blocks, and where asked the encoders' products, with which nothing is done."""
    from sae_merge_method.loaded.residual_stream import forward

    model, saes, chunks, options, _ = given

    def use(residual: torch.Tensor, layer: int) -> None:
        encoder: Any = saes[layer].encoder
        if products:
            torch.mm(residual, encoder.w_enc)

    def work_once() -> None:
        for chunk in chunks:
            for batch in chunk.batches:
                forward(
                    model,
                    batch,
                    {layer: partial(use, layer=layer) for layer in range(options.layers)},
                )

    return work_once


def our_way(given: Given) -> Callable[[], None]:
    """As `sae-merge diagnose` encodes, and keeps what comes of it."""
    from tqdm.auto import tqdm

    from sae_merge_method.diagnose.chunk_store import ChunkStore
    from sae_merge_method.diagnose.layer_encoders import LayerEncoders
    from sae_merge_method.diagnose.scales import CountingRule, LayerScale
    from sae_merge_method.diagnose.sweep import sweep
    from sae_merge_method.layers import Unit
    from sae_merge_method.loaded.sites import Site

    model, saes, chunks, options, _ = given
    encoders = [LayerEncoders(sae.layer, Site(sae.layer), sae, {}) for sae in saes]
    scale = LayerScale(1e6, 1e6, np.zeros(options.d_model, dtype=np.float32))
    rules: dict[Unit, CountingRule] = dict.fromkeys(range(options.layers), scale.rule(5))
    side_of = np.zeros(sum(len(chunk.documents) for chunk in chunks), dtype=np.int64)

    def work_once() -> None:
        with tempfile.TemporaryDirectory() as folder, tqdm(disable=True) as bar:
            store = ChunkStore(Path(folder) / "out", {})
            sweep(model, encoders, chunks, side_of, rules, STRIDE, store, bar)
            for one in encoders:
                store.gather(one.key(), options.width, [chunk.documents for chunk in chunks])

    return work_once


def saelens_way(given: Given) -> Callable[[], None]:
    """SAETransformerBridge with every layer's SAE, features cached and summed by document."""
    from sae_lens import JumpReLUSAE, JumpReLUSAEConfig, SAETransformerBridge
    from sae_lens.saes.sae import SAEMetadata

    _, saes, chunks, options, work = given
    bridge = SAETransformerBridge.boot_transformers(str(work / "model"), device="cpu", dtype=torch.float32)
    theirs = []
    for sae in saes:
        hook = f"blocks.{sae.layer}.hook_out"
        metadata = SAEMetadata(hook_name=hook)
        config = JumpReLUSAEConfig(
            d_in=options.d_model, d_sae=options.width, apply_b_dec_to_input=False, metadata=metadata
        )
        their = JumpReLUSAE(config)
        encoder: Any = sae.encoder
        their.W_enc.data, their.b_enc.data = encoder.w_enc, encoder.b_enc
        their.threshold.data, their.b_dec.data = encoder.floor, encoder.b_dec
        theirs.append(their.requires_grad_(False))

    def work_once() -> None:
        with torch.inference_mode():
            for chunk in chunks:
                for batch in chunk.batches:
                    hooks = [f"blocks.{sae.layer}.hook_out.hook_sae_acts_post" for sae in saes]
                    _, cache = bridge.run_with_cache_with_saes(
                        torch.from_numpy(batch.ids), saes=theirs, names_filter=hooks, use_error_term=True
                    )
                    counted = torch.from_numpy(batch.counted)[..., None]
                    for hook in hooks:
                        (cache[hook] * counted).sum(1)
                        ((cache[hook] > 0) & counted).sum(1)

    return work_once


WAYS: dict[str, Callable[..., Callable[[], None]]] = {
    "forward": partial(bare_way, products=False),
    "limit": partial(bare_way, products=True),
    "ours": our_way,
    "saelens": saelens_way,
}
