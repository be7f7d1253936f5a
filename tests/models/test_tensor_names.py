import pytest

from sae_merge_method.models.tensor_names import decoder_layer, place, shared_name


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("model.layers.9.mlp.up_proj.weight", 9),
        ("model.layers.19.mlp.up_proj.weight", 19),
        ("language_model.model.layers.9.self_attn.q_proj.weight", 9),
        ("model.language_model.layers.9.input_layernorm.weight", 9),
        ("transformer.h.9.attn.c_attn.weight", 9),
        ("gpt_neox.layers.9.attention.dense.weight", 9),
        ("transformer.h.9.attn.c_attn.bias", 9),
        ("transformer.h.9.attn.bias", None),  # a mask
        ("transformer.h.9.attn.masked_bias", None),
        ("gpt_neox.layers.9.attention.bias", None),
        ("gpt_neox.layers.9.attention.rotary_emb.inv_freq", None),
        ("model.layers.9.self_attn.rotary_emb.inv_freq", None),
        ("vision_tower.vision_model.encoder.layers.9.mlp.fc1.weight", None),
        ("model.vision_tower.vision_model.encoder.layers.9.mlp.fc1.weight", None),
        ("model.visual.blocks.9.attn.proj.weight", None),
        ("multi_modal_projector.mm_input_projection_weight", None),
        ("model.embed_tokens.weight", None),
        ("model.norm.weight", None),
        ("lm_head.weight", None),
        ("encoder.layers.9.fc1.weight", None),
    ],
)
def test_only_the_text_decoders_layers_count(name, layer):
    assert decoder_layer(name) == layer


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("h.9.ln_1.bias", "transformer.h.9.ln_1.bias", "transformer.h.9.ln_1.bias"),
        ("h.9.attn.bias", "transformer.h.9.attn.bias", "transformer.h.9.attn.bias"),  # a mask
        ("wpe.weight", "transformer.wpe.weight", "transformer.wpe.weight"),
        ("embed_in.weight", "gpt_neox.embed_in.weight", "gpt_neox.embed_in.weight"),
        ("layers.9.mlp.x", "gpt_neox.layers.9.mlp.x", "model.layers.9.mlp.x"),
        ("language_model.model.layers.9.a", "model.language_model.layers.9.a", "model.layers.9.a"),
        ("model.multi_modal_projector.a", "multi_modal_projector.a", "multi_modal_projector.a"),
    ],
)
def test_a_tensor_has_one_place_in_every_layout_and_a_name_to_be_shown(one, other, shown):
    assert place(one) == place(other)
    assert shared_name(one) == shown
    assert place(shown) == place(one)
