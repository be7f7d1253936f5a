"""Real tiny models with attention sinks and massive activations, made by hand: GPT-2's, without begin-of-text.

As in :mod:`tests.diagnose.hosts` a word's embedding is its own axis. Positions 0 and 1 have axes too, and the
first MLP after the embedding's block tells sinks by these axes or by their word: there it writes a hundred
times the stream's norm, into a few dimensions that every feature of the SAEs reads.
"""

from collections.abc import Collection
from pathlib import Path

import torch

from tests.diagnose import hosts

SINK_LAYER = 1
"""Behind this layer's block, and all that follow, sinks are large."""
PLANTED = (4, 0, 32, 12)
"""Target-only features of each layer's SAE: the best of them lie where the sinks do."""
SIZE = 100.0
"""Norm of a sink, in norms of another token."""
MASSIVE = tuple(hosts.WORDS.index(word) for word in ("c0", "c1"))
"""Dimensions of massive activations."""

_POSITIONS = (30, 31)
"""Axes of positions 0 and 1: no word has them."""
_NORM = hosts.D_MODEL**0.5


def save_model(
    folder: Path,
    *,
    positions: Collection[int] = (),
    words: Collection[str] = (),
    growth: float = 0.0,
    spread: float = 0.0,
) -> Path:
    """A GPT-2 of four blocks that reads words.

    Args:
        folder: Where it goes.
        positions: Those of 0 and 1 that are sinks, whatever word stands there.
        words: Words that are sinks wherever they stand.
        growth: What every block adds to each token alike, in norms of the embedding.
        spread: Standard deviation of the logarithm of the words' norms.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=hosts.D_MODEL,
            n_embd=hosts.D_MODEL,
            n_layer=hosts.N_LAYERS,
            n_head=2,
            n_positions=64,
            bos_token_id=1,
            eos_token_id=1,
        )
    )
    norms = torch.randn(hosts.D_MODEL, generator=torch.Generator().manual_seed(0)).mul(spread).exp()
    with torch.no_grad():
        decoder = model.transformer
        decoder.wte.weight.copy_(_NORM * torch.diag(norms))
        decoder.wpe.weight.zero_()
        for position, axis in enumerate(_POSITIONS):
            decoder.wpe.weight[position, axis] = _NORM
        for block in decoder.h:
            block.attn.c_proj.weight.zero_()
            block.mlp.c_proj.weight.zero_()
            block.mlp.c_proj.bias.zero_()
            block.mlp.c_proj.bias[len(hosts.SPECIAL) - 1] = growth * _NORM
        mlp = decoder.h[SINK_LAYER].mlp
        mlp.c_fc.weight.zero_()
        mlp.c_fc.bias.fill_(-20)
        for neuron, axis in enumerate(
            [_POSITIONS[nth] for nth in positions] + list(map(hosts.WORDS.index, words))
        ):
            # Behind the norm a token's own axes are near 4, or 5.6 where it has one alone, all others below 0.
            mlp.c_fc.weight[axis, neuron] = 10
            mlp.c_proj.weight[neuron, list(MASSIVE)] = SIZE * _NORM / 20
    model.save_pretrained(folder)
    hosts.save_tokenizer(folder, adds_bos=False)
    return folder
