"""Models of random weights, shaped as Gemma 3's: what most work costs does not depend on values.

Who watches the memory of processes imports this file: torch is loaded by the functions that need it.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

RANK = 64


class Sizes(NamedTuple):
    """Of a Gemma 3, but for the number of its layers."""

    width: int
    mlp: int
    heads: int
    kv_heads: int
    head: int
    words: int


GEMMA_3_1B = Sizes(1152, 6912, 4, 1, 256, 65536)
"""With a quarter of its vocabulary."""


def layer_shapes(sizes: Sizes, layers: int) -> dict[str, tuple[int, ...]]:
    """Of all tensors in layers."""
    width, queries, keys = sizes.width, sizes.heads * sizes.head, sizes.kv_heads * sizes.head
    part = {
        "input_layernorm": (width,),
        "self_attn.q_proj": (queries, width),
        "self_attn.q_norm": (sizes.head,),
        "self_attn.k_proj": (keys, width),
        "self_attn.k_norm": (sizes.head,),
        "self_attn.v_proj": (keys, width),
        "self_attn.o_proj": (width, queries),
        "post_attention_layernorm": (width,),
        "pre_feedforward_layernorm": (width,),
        "mlp.up_proj": (sizes.mlp, width),
        "mlp.gate_proj": (sizes.mlp, width),
        "mlp.down_proj": (width, sizes.mlp),
        "post_feedforward_layernorm": (width,),
    }
    return {
        f"model.layers.{layer}.{name}.weight": shape
        for layer in range(layers)
        for name, shape in part.items()
    }


def shapes(layers: int, sizes: Sizes = GEMMA_3_1B) -> dict[str, tuple[int, ...]]:
    """Of all tensors of a model whose head is its embedding."""
    first = {"model.embed_tokens.weight": (sizes.words, sizes.width)}
    return first | layer_shapes(sizes, layers) | {"model.norm.weight": (sizes.width,)}


def write_config(folder: Path, sizes: Sizes, layers: int) -> None:
    """What a folder with such tensors in bfloat16 says of itself."""
    config = {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "vocab_size": sizes.words,
        "hidden_size": sizes.width, "intermediate_size": sizes.mlp, "num_hidden_layers": layers,
        "num_attention_heads": sizes.heads, "num_key_value_heads": sizes.kv_heads, "head_dim": sizes.head,
        "torch_dtype": "bfloat16", "tie_word_embeddings": True,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))


def write_safetensors(
    file: Path, dtype: str, tensors: dict[str, tuple[int, ...]], seed: int, *, again: bool = False
) -> int:
    """Random values, made and written block by block; returns how many.

    Args:
        file: Where to write; its folder is made.
        dtype: BF16 or F32.
        tensors: Their shapes.
        seed: Of the values.
        again: Whether one block is written again and again, shifted: faster, and no value is new.
    """
    import numpy as np

    file.parent.mkdir(parents=True, exist_ok=True)
    width = {"BF16": 2, "F32": 4}[dtype]
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    reached = 0
    for name, shape in tensors.items():
        size = width * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [reached, reached + size]}
        reached += size
    text = json.dumps(header).encode()
    rng = np.random.default_rng(seed)

    def draw() -> Any:
        values = rng.standard_normal(1 << 22, dtype=np.float32)
        return (values.view(np.uint32) >> 16).astype(np.uint16) if width == 2 else values

    block = draw()
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for first in range(0, reached, block.nbytes):
            stream.write(block[: (reached - first) // width].tobytes())
            block = np.roll(block, 599_186) if again else draw()
    return reached // width


def write_model(folder: Path, seed: int, layers: int) -> int:
    """A bfloat16 Gemma 3 text model of random weights; returns its parameters."""
    folder.mkdir(parents=True)
    write_config(folder, GEMMA_3_1B, layers)
    return write_safetensors(folder / "model.safetensors", "BF16", shapes(layers), seed, again=True)


def write_decoders(folder: Path, layers: Sequence[int]) -> None:
    """SAEs of random directions, in SAELens' layout; a scalpel reads nothing of an SAE but its decoder."""
    width = GEMMA_3_1B.width
    for layer in layers:
        at = folder / f"layer_{layer}"
        write_safetensors(at / "sae_weights.safetensors", "F32", {"W_dec": (RANK, width)}, layer)
        hook = {"hook_name": f"blocks.{layer}.hook_resid_post"}
        config = {"architecture": "standard", "d_in": width, "d_sae": RANK, "metadata": hook}
        (at / "cfg.json").write_text(json.dumps(config))


def gemma(sizes: Sizes, layers: int, dtype: str = "float32", device: str = "cpu") -> Any:
    """One as transformers draws it, in memory, for :func:`word_tokenizer`'s tokens."""
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig(
        vocab_size=sizes.words, hidden_size=sizes.width, intermediate_size=sizes.mlp,
        num_hidden_layers=layers, num_attention_heads=sizes.heads, num_key_value_heads=sizes.kv_heads,
        head_dim=sizes.head, max_position_embeddings=2048, bos_token_id=1, eos_token_id=2, pad_token_id=3,
    )  # fmt: skip
    torch.manual_seed(0)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            return Gemma3ForCausalLM(config)
    finally:
        torch.set_default_dtype(usual)


def save_gemma(folder: Path, sizes: Sizes, layers: int, dtype: str = "float32") -> None:
    """The same with its tokenizer, on the disk."""
    gemma(sizes, layers, dtype).save_pretrained(folder)
    word_tokenizer(sizes.words).save_pretrained(folder)


def word_tokenizer(count: int) -> PreTrainedTokenizerFast:
    """One of so many words, w4 to the last, four of them special."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # No word begins with a special token's name: tokenizers find those within words, too.
    special = {"<unk>": 0, "<bos>": 1, "<eos>": 2, "<pad>": 3}
    words = {**special, **{f"w{number}": number for number in range(len(special), count)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )
