"""Two checkpoints held against each other: which tensors differ, and by how much."""

import math

import pytest
import torch

from sae_merge_method.diff.run import diff
from sae_merge_method.diff.show import difference_text, summary
from sae_merge_method.models.families import family_of
from tests import tiny
from tests.layouts.checkpoints import LAYOUTS, gemma3
from tests.recipes import recipe_text, run_recipe


def test_an_edit_shows_as_its_layers_with_their_relative_change(tmp_path, base, donor):
    run_recipe(recipe_text(base, donor, weight="0.5"), tmp_path / "out")
    difference = diff(base, tmp_path / "out")
    before, after = tiny.load_tensors(base), tiny.load_tensors(tmp_path / "out")
    assert {tensor.layer for tensor in difference.changed} == {1, 3}
    assert len(difference.changed) == 26
    for tensor in difference.tensors:
        moved = (after[tensor.name] - before[tensor.name]).double()
        assert tensor.relative == pytest.approx(float(moved.norm() / before[tensor.name].double().norm()))
        assert tensor.largest == pytest.approx(float(moved.abs().max()))
        assert tensor.changed == int((moved != 0).sum())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_model_in_two_layouts_is_identical_where_both_have_it(tmp_path, layout):
    a = gemma3(tmp_path / "a", "HUB", 0, tied=False)
    b = gemma3(tmp_path / "b", layout, 0, tied=False, shards=2)
    difference = diff(a, b)
    assert not (difference.changed or difference.only_in_second or difference.not_comparable)
    assert difference.identical == (layout != "TXT")
    assert all("vision_tower" in name or "projector" in name for name in difference.only_in_first)


def test_other_dtypes_shapes_and_what_is_not_finite_are_told_apart(tmp_path):
    def strange(tensors: tiny.Tensors) -> None:
        tensors["model.norm.weight"][0] = math.nan
        tensors["model.layers.0.mlp.up_proj.weight"] *= 2
        tensors["model.embed_tokens.weight"] = torch.zeros(64, tiny.D_MODEL)

    def zero(tensors: tiny.Tensors) -> None:
        tensors["model.layers.2.input_layernorm.weight"][:] = 0

    a = tiny.gemma3_text(tmp_path / "a", 0, dtype=torch.bfloat16, change=zero)
    b = tiny.gemma3_text(tmp_path / "b", 0, n_layers=3, change=strange)
    difference = diff(a, b)
    tensors = {tensor.name: tensor for tensor in difference.tensors}
    assert difference.not_comparable == ("model.embed_tokens.weight",)
    stored = {one.name: (str(one.first), str(one.second)) for one in difference.stored}
    assert stored["model.embed_tokens.weight"] == ("BF16 [48, 16]", "F32 [64, 16]")
    assert stored["model.norm.weight"] == ("BF16 [16]", "F32 [16]")
    assert len(difference.only_in_first) == 13 and difference.only_in_second == ()
    assert math.isnan(tensors["model.norm.weight"].relative)
    assert math.isnan(tensors["model.norm.weight"].largest)
    assert math.isinf(tensors["model.layers.2.input_layernorm.weight"].relative)
    assert tensors["model.layers.0.mlp.up_proj.weight"].relative > 0.5
    assert 0 < tensors["model.layers.1.mlp.up_proj.weight"].relative < 0.01  # bfloat16's rounding alone


def test_an_edit_that_is_written_wider_differs_in_its_layers_values_and_elsewhere_in_dtype_alone(tmp_path):
    base, donor = (tiny.gemma3_text(tmp_path / str(n), n, dtype=torch.bfloat16) for n in (0, 1))
    run_recipe(recipe_text(base, donor, weight="0.5", tail="dtype: float32"), tmp_path / "out")
    difference = diff(base, tmp_path / "out")
    assert {tensor.layer for tensor in difference.changed} == {1, 3} and len(difference.changed) == 26
    assert difference.dtypes == {tensor.name: ("BF16", "F32") for tensor in difference.tensors}
    assert not difference.identical
    assert summary(difference) == (
        "26 of 54 shared tensors differ in values, in layers 1, 3; 28 more are stored as F32 in place of BF16"
    )


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.int8])
def test_what_is_not_comparable_is_told_with_its_dtype_and_shape_on_both_sides(tmp_path, kind):
    name = "model.layers.0.mlp.up_proj.weight"

    def recode(tensors: tiny.Tensors) -> None:
        tensors[name] = tensors[name].to(kind)

    base, other = tiny.gemma3_text(tmp_path / "a", 0), tiny.gemma3_text(tmp_path / "b", 0, change=recode)
    text = difference_text(diff(base, other))
    assert (
        f"not comparable: {name} (F32 [32, 16] in A, {'I8' if kind == torch.int8 else 'F8_E4M3'} [32, 16] in B)"
        in text
    )
    assert text.endswith("0 of 53 shared tensors differ, 1 not comparable")

    def recode_otherwise(tensors: tiny.Tensors) -> None:
        tensors[name] = (2 * tensors[name]).to(kind)

    third = tiny.gemma3_text(tmp_path / "c", 0, change=recode_otherwise)
    if kind != torch.int8:
        assert f"not comparable: {name} (F8_E4M3 [32, 16] in both)" in difference_text(diff(other, third))


@pytest.mark.parametrize(
    ("model_type", "prefix"),
    [("gpt2", "transformer."), ("gpt_neo", "transformer."), ("gpt_neox", "gpt_neox.")],
)
def test_a_decoder_saved_without_its_head_is_the_one_that_was_saved_with_it(tmp_path, model_type, prefix):
    from transformers import AutoConfig, AutoModel

    family = family_of(model_type)
    sizes = {family.sizes.layers: 2, family.sizes.width: 16, family.sizes.others[0]: 2, "vocab_size": 32}
    more = {"attention_types": [[["global"], 2]]} if model_type == "gpt_neo" else {"intermediate_size": 32}
    config = AutoConfig.for_model(model_type, **sizes, **more)
    bare = {name: tensor.contiguous() for name, tensor in AutoModel.from_config(config).state_dict().items()}
    first = next(name for name in bare if name.startswith(f"{family.block_list}.1."))
    edited = {f"{prefix}{name}": tensor + (name == first) for name, tensor in bare.items()}
    for name, tensors in (("a", bare), ("b", edited)):
        tiny.save_checkpoint(tmp_path / name, config.to_dict(), tensors)
    for one, other in (("a", "b"), ("b", "a")):
        difference = diff(tmp_path / one, tmp_path / other)
        assert len(difference.tensors) == len(bare) and not difference.only_in_first
        assert [tensor.layer for tensor in difference.changed] == [1]
        assert f"1 of {len(bare)} shared tensors differ" in summary(difference)
