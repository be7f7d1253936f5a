"""The table of residual axes, held against the models that transformers builds."""

import pytest
import torch

from sae_merge_method.errors import RecipeError
from sae_merge_method.models.family import ResidualAxis
from sae_merge_method.models.residual_axes import kind_of, parse_axes, residual_axis
from sae_merge_method.models.tensor_names import decoder_layer

D = 24
_SIZES = {
    "vocab_size": 32,
    "hidden_size": D,
    "intermediate_size": 40,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
_INSIDE = {"q_norm", "k_norm"}


def decoder_tensors(model_type: str, **sizes: int) -> dict[str, torch.Size]:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(model_type, **(sizes or _SIZES))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    names = {name: tensor.shape for name, tensor in model.state_dict().items()}
    return {name: shape for name, shape in names.items() if decoder_layer(name) is not None}


@pytest.mark.parametrize(
    "model_type", ["gemma2", "gemma3_text", "llama", "qwen2", "qwen3", "mistral", "gpt2", "gpt_neox"]
)
def test_every_decoder_tensor_of_the_covered_models_has_its_residual_axis(model_type):
    sizes = {"n_embd": D, "n_layer": 1, "n_head": 4, "n_inner": 40, "vocab_size": 32}
    tensors = decoder_tensors(model_type, **(sizes if model_type == "gpt2" else _SIZES))
    assert tensors
    for name, shape in tensors.items():
        place = residual_axis(name)
        assert place is not None, name
        if place.axis is None:
            assert D not in shape or len(shape) == 1, name
        else:
            assert shape[place.axis] == D, name
            # A square matrix would hide a wrong axis; only these two cannot be anything else.
            square = name.endswith(("attn.c_proj.weight", "attention.dense.weight"))
            assert len(shape) == 1 or square or shape[1 - place.axis] != D, name
    inside = {kind_of(name).split(".")[-2] for name in tensors if residual_axis(name).axis is None}
    fused = {"query_key_value", "dense_h_to_4h", "c_attn", "c_fc"}
    assert inside <= _INSIDE | {"q_proj", "k_proj", "v_proj"} | fused


def test_sides_tell_who_reads_the_stream_and_who_writes_it():
    for layout in ("model.layers.3.", "language_model.model.layers.3.", "model.language_model.layers.3."):
        assert residual_axis(f"{layout}mlp.up_proj.weight") == ResidualAxis(1, "read")
        assert residual_axis(f"{layout}mlp.down_proj.weight") == ResidualAxis(0, "write")
        assert residual_axis(f"{layout}input_layernorm.weight") == ResidualAxis(0, "read")
        assert residual_axis(f"{layout}self_attn.q_norm.weight") == ResidualAxis(None)


def test_experts_and_linear_attention_are_unknown_until_the_recipe_names_them():
    expert = "model.layers.3.mlp.experts.12.down_proj.weight"
    conv = "model.layers.3.linear_attn.conv1d.weight"
    assert kind_of(expert) == "mlp.experts.*.down_proj.weight"
    assert residual_axis(expert) is None and residual_axis(conv) is None
    rules = parse_axes("mlp.experts.*.down_proj.weight=write:0, linear_attn.*=none")
    assert residual_axis(expert, rules) == ResidualAxis(0, "write")
    assert residual_axis(conv, rules) == ResidualAxis(None)
    with pytest.raises(RecipeError, match="residual_axes: expected items like .* got 'mlp=0'"):
        parse_axes("mlp=0")
