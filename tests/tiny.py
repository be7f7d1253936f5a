"""Tiny checkpoints in the layouts real ones have, made on the spot: random weights, seconds to build."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from sae_merge_method.models.tensor_names import decoder_layer

N_LAYERS = 4
D_MODEL = 16
VOCABULARY = 48

Tensors = dict[str, torch.Tensor]


def _layer_shapes(d_model: int = D_MODEL) -> dict[str, tuple[int, ...]]:
    return {
        "input_layernorm.weight": (d_model,),
        "self_attn.q_proj.weight": (16, d_model),
        "self_attn.q_norm.weight": (8,),
        "self_attn.k_proj.weight": (8, d_model),
        "self_attn.k_norm.weight": (8,),
        "self_attn.v_proj.weight": (8, d_model),
        "self_attn.o_proj.weight": (d_model, 16),
        "post_attention_layernorm.weight": (d_model,),
        "pre_feedforward_layernorm.weight": (d_model,),
        "mlp.up_proj.weight": (32, d_model),
        "mlp.gate_proj.weight": (32, d_model),
        "mlp.down_proj.weight": (d_model, 32),
        "post_feedforward_layernorm.weight": (d_model,),
    }


def text_config(vocabulary: int = VOCABULARY, n_layers: int = N_LAYERS) -> dict[str, object]:
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "vocab_size": vocabulary,
        "hidden_size": D_MODEL,
        "intermediate_size": 32,
        "num_hidden_layers": n_layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "max_position_embeddings": 64,
        "sliding_window": 32,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "tie_word_embeddings": True,
    }


def text_tensors(
    seed: int,
    *,
    prefix: str = "model.",
    dtype: torch.dtype = torch.float32,
    vocabulary: int = VOCABULARY,
    n_layers: int = N_LAYERS,
) -> Tensors:
    """A Gemma 3 text model's tensors, by name."""
    shapes: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (vocabulary, D_MODEL)}
    for layer in range(n_layers):
        shapes |= {f"layers.{layer}.{name}": shape for name, shape in _layer_shapes().items()}
    shapes["norm.weight"] = (D_MODEL,)
    generator = torch.Generator().manual_seed(seed)
    return {
        prefix + name: (0.1 * torch.randn(shape, generator=generator)).to(dtype)
        for name, shape in shapes.items()
    }


def save_checkpoint(folder: Path, config: dict[str, object], tensors: Tensors, shards: int = 1) -> Path:
    """Write a model folder: config.json, safetensors (with an index when sharded)."""
    folder.mkdir(parents=True)
    dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    (folder / "config.json").write_text(json.dumps(config | {"torch_dtype": dtype}, indent=2))
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    names = list(tensors)
    weight_map: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = names[shard::shards]
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def gemma3_text(
    folder: Path,
    seed: int,
    *,
    dtype: torch.dtype = torch.float32,
    vocabulary: int = VOCABULARY,
    n_layers: int = N_LAYERS,
    change: Callable[[Tensors], None] | None = None,
    shards: int = 1,
) -> Path:
    """A text-only Gemma 3 checkpoint; ``change`` may alter its tensors before they are written."""
    tensors = text_tensors(seed, dtype=dtype, vocabulary=vocabulary, n_layers=n_layers)
    if change:
        change(tensors)
    return save_checkpoint(folder, text_config(vocabulary, n_layers), tensors, shards)


def wide_norms(tensors: Tensors) -> None:
    """Keep the norms in float32, as some models that are bfloat16 otherwise do; in place."""
    for name in tensors:
        if "norm" in name:
            tensors[name] = tensors[name].float()


def layer_parts() -> tuple[str, ...]:
    """Names of a decoder layer's tensors, inside the layer."""
    return tuple(_layer_shapes())


def gemma3_multimodal(folder: Path, seed: int, *, dtype: torch.dtype = torch.float32) -> Path:
    """A multimodal Gemma 3 checkpoint with the names that the published ones have."""
    return save_checkpoint(folder, *gemma3_multimodal_parts(seed, dtype=dtype))


def gemma3_multimodal_parts(
    seed: int, *, dtype: torch.dtype = torch.float32, vocabulary: int = VOCABULARY
) -> tuple[dict[str, object], Tensors]:
    """Config and tensors of a multimodal Gemma 3 model, named as the published ones are."""
    config: dict[str, object] = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "text_config": text_config(vocabulary) | {"architectures": None},
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": 8,
            "intermediate_size": 16,
            "num_hidden_layers": N_LAYERS,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        "mm_tokens_per_image": 4,
        "image_token_index": 3,
        "tie_word_embeddings": True,
    }
    tensors = text_tensors(seed, prefix="language_model.model.", dtype=dtype, vocabulary=vocabulary)
    vision: dict[str, tuple[int, ...]] = {
        "embeddings.patch_embedding.bias": (8,),
        "embeddings.patch_embedding.weight": (8, 3, 14, 14),
        "embeddings.position_embedding.weight": (4, 8),
        "post_layernorm.bias": (8,),
        "post_layernorm.weight": (8,),
    }
    for layer in range(N_LAYERS):
        for name in ("layer_norm1", "layer_norm2"):
            vision |= {f"encoder.layers.{layer}.{name}.{part}": (8,) for part in ("weight", "bias")}
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            vision[f"encoder.layers.{layer}.self_attn.{name}.weight"] = (8, 8)
            vision[f"encoder.layers.{layer}.self_attn.{name}.bias"] = (8,)
        vision |= {
            f"encoder.layers.{layer}.mlp.fc1.weight": (16, 8),
            f"encoder.layers.{layer}.mlp.fc1.bias": (16,),
            f"encoder.layers.{layer}.mlp.fc2.weight": (8, 16),
            f"encoder.layers.{layer}.mlp.fc2.bias": (8,),
        }
    generator = torch.Generator().manual_seed(seed + 1000)
    for name, shape in vision.items():
        tensors[f"vision_tower.vision_model.{name}"] = (0.1 * torch.randn(shape, generator=generator)).to(
            dtype
        )
    for name, shape in {"mm_input_projection_weight": (8, D_MODEL), "mm_soft_emb_norm.weight": (8,)}.items():
        tensors[f"multi_modal_projector.{name}"] = (0.1 * torch.randn(shape, generator=generator)).to(dtype)
    return config, tensors


def load_tensors(folder: Path) -> Tensors:
    """All tensors of a model folder."""
    tensors: Tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    return tensors


def same_bytes(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Equal dtype, shape and bits: NaN equals itself, -0.0 differs from 0.0."""
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return left.contiguous().view(torch.uint8).equal(right.contiguous().view(torch.uint8))


def edited_layers(out: Path, base: Path) -> set[int | None]:
    """Layers with a tensor whose bytes changed; None among them for what lies in no layer."""
    before, after = load_tensors(base), load_tensors(out)
    assert before.keys() == after.keys()
    return {decoder_layer(name) for name in before if not same_bytes(before[name], after[name])}
