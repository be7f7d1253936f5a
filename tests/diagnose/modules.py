"""A Llama whose ability lives in one block's MLP, made by hand, and SAEs that listen to attention and MLPs.

A word's embedding is its own axis, and one that all words share. Every attention and every MLP reads that one
and common words, and so knows nothing of the target, but one MLP, which reads the target's words as well. What
they write goes where no block reads. Heads are narrower than the stream, as they are in most models.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from sae_merge_method.layers import LayerModule
from tests.diagnose import hosts

PLANTED = LayerModule(2, "mlp")
N_LAYERS, HEADS_WIDTH, D_SAE = 3, 16, 64
SINK, SINK_AT = "c7", LayerModule(1, "mlp")
"""A word that the MLP of another block makes a massive activation of."""

_FIRST = len(hosts.SPECIAL)
_TARGET = slice(_FIRST, _FIRST + len(hosts.MATHS))
_COMMON = slice(_FIRST + 16, _FIRST + 24)
_SHARED = 31
_READ = [_SHARED, *range(_COMMON.start, _COMMON.stop)]
_WRITTEN = slice(_FIRST + 8, _FIRST + 16)


def save_model(folder: Path, *, sink: bool = False) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = hosts.text_settings(N_LAYERS) | {"head_dim": HEADS_WIDTH // 2}
    settings.pop("sliding_window")
    model = LlamaForCausalLM(LlamaConfig(**settings, tie_word_embeddings=False))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(hosts.D_MODEL))
        model.model.embed_tokens.weight[:, _SHARED] = 1
        for nth, block in enumerate(model.model.layers):
            for name, parameter in block.named_parameters():
                if name.endswith("layernorm.weight"):
                    continue
                drawn = torch.randn(parameter.shape, generator=generator) / 4
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    kept = torch.zeros_like(drawn)
                    kept[_WRITTEN] = drawn[_WRITTEN] / 8  # little beside the words
                else:
                    kept = torch.zeros_like(drawn)
                    kept[:, _READ] = drawn[:, _READ]
                    if LayerModule(nth, name.partition(".")[0]) == PLANTED:
                        kept[:, _TARGET] = 1.5 * drawn[:, :1]  # of every word of the target the same
                parameter.copy_(kept)
            if sink and nth == SINK_AT.layer:
                axis = hosts.WORDS.index(SINK)
                block.mlp.gate_proj.weight[:, axis] = 20
                block.mlp.up_proj.weight[:, axis] = 20
    model.save_pretrained(folder)
    hosts.save_tokenizer(folder)
    return folder


def save_saes(folder: Path) -> tuple[str, str]:
    """SAEs of attention and of MLPs, random directions to both sides: those of attention read the heads."""
    for layer in range(N_LAYERS):
        for part, width, hook in (
            ("attn", HEADS_WIDTH, "self_attn.o_proj.input"),
            ("mlp", hosts.D_MODEL, "mlp.output"),
        ):
            generator = torch.Generator().manual_seed(layer)
            directions = torch.randn(width, D_SAE // 2, generator=generator)
            encoder = torch.cat((directions, -directions), dim=1)
            place, named = folder / part / f"layer_{layer}", f"model.layers.{layer}.{hook}"
            hosts.save_raw(place, layer, encoder, hf_hook_point_in=named)
            tensors = load_file(place / "params.safetensors")
            # Of each pair of opposite directions one alone fires: twice its row gives the activation back.
            save_file(tensors | {"w_dec": 2 * tensors["w_dec"]}, place / "params.safetensors")
    return str(folder / "attn"), str(folder / "mlp")
