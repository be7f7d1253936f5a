"""Families beyond the common ones, made by transformers' own classes: merged, verified, and read by the stethoscope.

Experts and linear attention are tensors of a layer like any other: a gate opens or closes them with it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.errors import ModelError
from sae_merge_method.loaded.residual_stream import forward
from sae_merge_method.loaded.text_model import load_text_model
from sae_merge_method.models.parts import PARTS, part_of
from sae_merge_method.models.tensor_names import decoder_layer, layer_part
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.diagnose import hosts
from tests.recipes import recipe_text, run_recipe

COMMON: dict[str, Any] = {
    "vocab_size": 48, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 64, "bos_token_id": 2, "eos_token_id": 1,
    "pad_token_id": 0,
}  # fmt: skip
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
_LOCAL_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
_LINEAR = {
    "linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "linear_attention", "full_attention", "linear_attention"],
}  # fmt: skip
_EMBEDDED = {
    "vocab_size_per_layer_input": 48,
    "hidden_size_per_layer_input": 8,
    "layer_types": ["full_attention"] * 4,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen3_moe": _EXPERTS,
    "mixtral": _LOCAL_EXPERTS,
    "gpt_oss": _LOCAL_EXPERTS,
    "llama4_text": {**_LOCAL_EXPERTS, "num_experts_per_tok": 1, "intermediate_size_mlp": 32},
    "gemma4_text": {**_EMBEDDED, "global_head_dim": 8},
    "qwen3_5_text": _LINEAR,
    "qwen3_5_moe_text": {**_LINEAR, **_EXPERTS, "shared_expert_intermediate_size": 8},
    "deepseek_v3": {
        "num_key_value_heads": 2, "head_dim": 4, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
        "moe_intermediate_size": 8, "first_k_dense_replace": 1, "q_lora_rank": 8, "kv_lora_rank": 8,
        "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8,
    },
    "gemma3n_text": {
        **_EMBEDDED, "laurel_rank": 4, "intermediate_size": [32] * 4, "activation_sparsity_pattern": [0.0] * 4,
        "num_kv_shared_layers": 0, "altup_num_inputs": 2,
    },
    "phi3": {},
    "olmo2": {},
    "smollm3": {},
}  # fmt: skip
"""By transformers' type: what a tiny one takes beside the sizes that all have."""
NAMED = {
    "qwen3_moe": ("mlp.experts.",), "mixtral": ("block_sparse_moe.experts.",), "gpt_oss": ("mlp.experts.", "mlp.router."),
    "llama4_text": ("feed_forward.",), "qwen3_5_text": ("linear_attn.",), "deepseek_v3": ("mlp.experts.",),
    "qwen3_5_moe_text": ("linear_attn.", "mlp.experts.", "mlp.shared_expert."), "gemma3n_text": ("altup.", "laurel."),
    "gemma4_text": ("per_layer_projection.",), "phi3": ("self_attn.qkv_proj.",), "olmo2": ("self_attn.q_norm.",),
    "smollm3": ("self_attn.q_proj.",),
}  # fmt: skip
"""Parts of a layer that a gate has to open with it."""


def saved(folder: Path, model_type: str, seed: int) -> Path:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    config = AutoConfig.for_model(model_type, **{**COMMON, **FAMILIES[model_type]})
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        # Norms, scales and buffers too: a gate that left one out would not be noticed where both sides are equal.
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.01 * torch.rand_like(tensor))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    for name, seed in (("base", 0), ("donor", 1)):
        saved(folder / name, request.param, seed)
    return request.param, folder


def test_all_of_the_open_layer_is_edited_nothing_else_and_verified(pair: tuple[str, Path]) -> None:
    model_type, folder = pair
    base, donor, out = folder / "base", folder / "donor", folder / "out"
    before, theirs = tiny.load_tensors(base), tiny.load_tensors(donor)
    run_recipe(recipe_text(base, donor, 'layers: "1"', weight="0.5"), out)
    after = tiny.load_tensors(out)
    assert after.keys() == before.keys()
    inside = {name for name in before if decoder_layer(name) == 1}
    for name, tensor in before.items():
        wanted = tensor + (theirs[name] - tensor) * 0.5 if name in inside else tensor
        assert tiny.same_bytes(after[name], wanted), name
        assert (name in inside) != tiny.same_bytes(after[name], tensor), name
    parts = [part.part for name in inside if (part := layer_part(name)) is not None]
    assert all(any(part.startswith(named) for part in parts) for named in NAMED[model_type]), parts
    assert verify(out).sound


WITHIN = {
    "attn": ("self_attn.", "linear_attn."),
    "mlp": ("mlp.", "block_sparse_moe.", "feed_forward.", "experts.", "router."),
}
"""By part of a layer, how its tensors' names begin; written down a second time."""


def test_every_tensor_of_a_layer_is_attention_or_mlp_or_a_norm_or_what_stands_beside_them(
    pair: tuple[str, Path],
) -> None:
    _, folder = pair
    within = [part for name in tiny.load_tensors(folder / "base") if (part := layer_part(name)) is not None]
    for layer in range(4):
        names = {part.part for part in within if part.layer == layer}
        parts = {kind: {name for name in names if part_of(name) == kind} for kind in (*PARTS, None)}
        assert parts["attn"] | parts["mlp"] | parts[None] == names
        assert all(parts.values()), layer  # each has attention, an MLP, and norms that are neither
        for kind, begins in WITHIN.items():
            assert parts[kind] == {name for name in names if name.startswith(begins)}
        assert all("norm" in name or name.startswith(BESIDE) for name in parts[None]), parts[None]


BESIDE = ("altup.", "laurel.", "per_layer_", "layer_scalar")
"""What Gemma 3n and Gemma 4 have beside attention and MLP: it belongs to the whole layer alone."""


def test_attention_or_mlp_alone_is_edited_and_verified(pair: tuple[str, Path]) -> None:
    _, folder = pair
    base, donor = folder / "base", folder / "donor"
    before, theirs = tiny.load_tensors(base), tiny.load_tensors(donor)
    for kind, begins in WITHIN.items():
        out = folder / kind
        run_recipe(recipe_text(base, donor, f'layers: "1.{kind}"'), out)
        after = tiny.load_tensors(out)
        for name, tensor in before.items():
            part = layer_part(name)
            is_open = part is not None and part.layer == 1 and part.part.startswith(begins)
            wanted = tensor + (theirs[name] - tensor) if is_open else tensor
            assert tiny.same_bytes(after[name], wanted), name
        assert verify(out).sound


def test_its_residual_stream_is_read_at_every_layer_or_refused_where_there_are_several(
    pair: tuple[str, Path],
) -> None:
    model_type, folder = pair
    if not (folder / "base" / "tokenizer.json").exists():
        hosts.save_tokenizer(folder / "base")
    model = load_text_model(str(folder / "base"), device="cpu")
    ids = np.random.default_rng(0).integers(6, 29, 9)
    (batch,) = make_batches([Document(ids, np.arange(9) > 0)], 64)
    if model_type == "gemma3n_text":
        with pytest.raises(ModelError, match="Gemma3nTextModel put out several streams at once"):
            forward(model, batch, {0: torch.Tensor.clone})
        return
    streams = forward(model, batch, dict.fromkeys(range(4), torch.Tensor.clone))
    assert [streams[layer].shape for layer in range(4)] == [(8, 16)] * 4
    assert all(torch.isfinite(streams[layer]).all() for layer in range(4))
