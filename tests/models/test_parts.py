"""Which part of its layer a tensor belongs to."""

import pytest

from sae_merge_method.models.families import FAMILIES, vocabulary
from sae_merge_method.models.parts import PARTS, describe_parts, part_of, tensor_part


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("self_attn.q_proj.weight", "attn"),
        ("self_attn.q_norm.weight", "attn"),
        ("linear_attn.conv1d.weight", "attn"),
        ("attention.dense.bias", "attn"),
        ("mlp.experts.3.down_proj.weight", "mlp"),
        ("mlp.gate.weight", "mlp"),
        ("block_sparse_moe.gate.weight", "mlp"),
        ("router.proj.weight", "mlp"),
        ("input_layernorm.weight", None),
        ("post_attention_layernorm.weight", None),
        ("pre_feedforward_layernorm_2.weight", None),
        ("laurel.linear_left.weight", None),
        ("layer_scalar", None),
    ],
)
def test_a_tensor_belongs_to_the_module_that_it_lies_in(name, part):
    assert part_of(name) == part


def test_a_layout_does_not_change_the_part_and_outside_the_layers_there_is_none():
    for prefix in ("model.layers", "language_model.model.layers", "model.language_model.layers"):
        assert tensor_part(f"{prefix}.9.mlp.up_proj.weight") == "mlp"
    assert tensor_part("vision_tower.vision_model.encoder.layers.9.mlp.fc1.weight") is None
    assert tensor_part("lm_head.weight") is None


def test_every_family_says_which_modules_are_which_part_and_no_name_is_two():
    claimed = {}
    for family in FAMILIES.values():
        assert family.modules.keys() == PARTS.keys(), family.name
        for part, names in family.modules.items():
            for name in names:
                assert claimed.setdefault(name, part) == part, (family.name, name)
    assert vocabulary().modules == claimed


def test_what_a_family_says_its_parts_put_out_through_lies_in_them_or_is_their_norm():
    for family in FAMILIES.values():
        for pair in family.parts:
            for module, part in zip(pair, ("attn", "mlp"), strict=True):
                assert part_of(module) == part or "norm" in module, family.name


def test_help_names_every_part():
    assert all(f"{name} is {part.description}" in describe_parts() for name, part in PARTS.items())
