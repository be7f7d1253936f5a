"""Models and SAEs of random weights, shaped as Gemma 3 1B's: what a merge costs does not depend on values."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path

WIDTH, MLP, HEADS, HEAD, VOCABULARY = 1152, 6912, 4, 256, 65536
RANK = 64


def shapes(layers: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, WIDTH)}
    for layer in range(layers):
        part = {
            "input_layernorm": (WIDTH,),
            "self_attn.q_proj": (HEADS * HEAD, WIDTH),
            "self_attn.q_norm": (HEAD,),
            "self_attn.k_proj": (HEAD, WIDTH),
            "self_attn.k_norm": (HEAD,),
            "self_attn.v_proj": (HEAD, WIDTH),
            "self_attn.o_proj": (WIDTH, HEADS * HEAD),
            "post_attention_layernorm": (WIDTH,),
            "pre_feedforward_layernorm": (WIDTH,),
            "mlp.up_proj": (MLP, WIDTH),
            "mlp.gate_proj": (MLP, WIDTH),
            "mlp.down_proj": (WIDTH, MLP),
            "post_feedforward_layernorm": (WIDTH,),
        }
        found |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in part.items()}
    return found | {"model.norm.weight": (WIDTH,)}


def write_model(folder: Path, seed: int, layers: int) -> int:
    """A bfloat16 Gemma 3 text model of random weights; returns its parameters."""
    import numpy as np

    folder.mkdir(parents=True)
    config = {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "vocab_size": VOCABULARY,
        "hidden_size": WIDTH, "intermediate_size": MLP, "num_hidden_layers": layers,
        "num_attention_heads": HEADS, "num_key_value_heads": 1, "head_dim": HEAD, "torch_dtype": "bfloat16",
        "tie_word_embeddings": True,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    reached = 0
    for name, shape in shapes(layers).items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [reached, reached + size]}
        reached += size
    text = json.dumps(header).encode()
    rng = np.random.default_rng(seed)
    block = (rng.standard_normal(1 << 24, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for first in range(0, reached, block.nbytes):
            stream.write(np.roll(block, first // 7).tobytes()[: reached - first])
    return reached // 2


def write_saes(folder: Path, layers: Sequence[int]) -> None:
    """Decoders of random directions, in SAELens' layout; a scalpel reads nothing else of an SAE."""
    import numpy as np

    for layer in layers:
        at = folder / f"layer_{layer}"
        at.mkdir(parents=True)
        decoder = np.random.default_rng(layer).standard_normal((RANK, WIDTH), dtype=np.float32)
        entry = {"dtype": "F32", "shape": decoder.shape, "data_offsets": [0, decoder.nbytes]}
        text = json.dumps({"W_dec": entry}).encode()
        (at / "sae_weights.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + decoder.tobytes())
        hook = {"hook_name": f"blocks.{layer}.hook_resid_post"}
        config = {"architecture": "standard", "d_in": WIDTH, "d_sae": RANK, "metadata": hook}
        (at / "cfg.json").write_text(json.dumps(config))
