"""Layer sets as people write them, tensor names, and the rules that choose layers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_merge_method.errors import UsageError
from sae_merge_method.layers import format_layers, parse_layers
from sae_merge_method.models.tensor_names import decoder_layer
from sae_merge_method.selection import parse_rule, select_layers

SCORES = {0: 0.1, 1: 0.9, 2: 0.85, 3: 0.2, 4: 0.9}


def test_layers_are_read_as_they_are_written():
    assert parse_layers("9, 11-13,22") == (9, 11, 12, 13, 22)
    assert parse_layers("3,1,2,2") == (1, 2, 3)
    assert parse_layers("all", 3) == (0, 1, 2)
    assert format_layers([22, 11, 12, 13, 9]) == "9, 11-13, 22"
    assert format_layers([4, 5]) == "4, 5"


@given(st.sets(st.integers(0, 200), min_size=1))
def test_written_layers_read_back(layers):
    assert parse_layers(format_layers(layers)) == tuple(sorted(layers))


@pytest.mark.parametrize("text", ["", "a", "3-", "-3", "5-3", "1;2", "1,,2", "1.5", "all", "٣x"])
def test_malformed_layers_are_refused(text):
    with pytest.raises(UsageError):
        parse_layers(text)


def test_a_layer_the_model_lacks_is_refused():
    with pytest.raises(UsageError, match="layer 34 is out of range .* 34 layers, 0 to 33"):
        parse_layers("2, 30-34", 34)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("model.layers.9.mlp.up_proj.weight", 9),
        ("model.layers.19.mlp.up_proj.weight", 19),
        ("language_model.model.layers.9.self_attn.q_proj.weight", 9),
        ("model.language_model.layers.9.input_layernorm.weight", 9),
        ("transformer.h.9.attn.c_attn.weight", 9),
        ("gpt_neox.layers.9.attention.dense.weight", 9),
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
    ("rule", "chosen"),
    [
        ("top_k=1", (1,)),
        ("top_k=3", (1, 2, 4)),
        ("threshold=0.85", (1, 2, 4)),
        ("threshold=2", ()),
        ("fdr=0.05", (1, 4)),
        ("elbow", (1, 2, 4)),
        ("layers=0,2-4", (0, 2, 3, 4)),
    ],
)
def test_each_rule_chooses_what_it_says(rule, chosen):
    q_values = {0: 0.9, 1: 0.01, 2: 0.06, 3: 0.5, 4: 0.05}
    assert select_layers(parse_rule(rule), SCORES, q_values) == chosen
    assert str(parse_rule(rule)) == rule


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "top_k",
        "top_k=0",
        "top_k=x",
        "threshold=nan",
        "fdr=1.5",
        "elbow=3",
        "best=4",
        "layers=",
        "top_k=1=2",
    ],
)
def test_a_malformed_rule_is_refused(rule):
    with pytest.raises(UsageError):
        parse_rule(rule)


def test_a_rule_cannot_ask_for_what_was_not_scored():
    with pytest.raises(UsageError, match=r"top_k=6 asks for more layers than have a score \(5\)"):
        select_layers(parse_rule("top_k=6"), SCORES)
    with pytest.raises(UsageError, match="no score for layers 7"):
        select_layers(parse_rule("layers=1,7"), SCORES)
    with pytest.raises(UsageError, match="needs q-values"):
        select_layers(parse_rule("fdr=0.05"), SCORES)
