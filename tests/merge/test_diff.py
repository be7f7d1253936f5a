"""``sae-merge diff``: what differs between any two checkpoints, and by how much."""

import json
import math

import pytest
import torch
from click.testing import CliRunner

from sae_merge_method.cli.diff import command
from sae_merge_method.diff.diff import compare_checkpoints
from sae_merge_method.diff.show import diff_table, heat_map
from sae_merge_method.merge.run import run_recipe
from sae_merge_method.models.checkpoint import open_checkpoint
from tests import tiny
from tests.layouts.checkpoints import LAYOUTS, gemma3
from tests.merge.conftest import recipe_text


def differ(a, b):
    return compare_checkpoints(open_checkpoint(a), open_checkpoint(b), quiet=True)


def test_an_edit_shows_as_its_layers_with_their_relative_change(tmp_path, base, donor):
    run_recipe(
        recipe_text(base, donor, weight="0.5"), "r", tmp_path / "out", sync=False, options={"quiet": True}
    )
    found = differ(base, tmp_path / "out")
    before, after = tiny.load_tensors(base), tiny.load_tensors(tmp_path / "out")
    assert {tensor.place.layer for tensor in found.changed} == {1, 3}
    assert len(found.changed) == 26
    for tensor in found.tensors:
        moved = (after[tensor.name] - before[tensor.name]).double()
        assert tensor.relative == pytest.approx(float(moved.norm() / before[tensor.name].double().norm()))
        assert tensor.largest == pytest.approx(float(moved.abs().max()))
        assert tensor.changed == int((moved != 0).sum())
    assert "26 of 54 shared tensors differ, in layers 1, 3" in diff_table(found)
    assert "... and 21 more that moved less" in diff_table(found, most=5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_model_in_two_layouts_is_identical_where_both_have_it(tmp_path, layout):
    a = gemma3(tmp_path / "a", "HUB", 0, tied=False)
    b = gemma3(tmp_path / "b", layout, 0, tied=False, shards=2)
    found = differ(a, b)
    assert not found.changed and not found.only_in_b and not found.reshaped
    assert found.identical == (layout != "TXT")
    assert all("vision_tower" in name or "projector" in name for name in found.only_in_a)


def test_other_dtypes_shapes_and_what_is_not_finite_are_told_apart(tmp_path):
    def strange(tensors: tiny.Tensors) -> None:
        tensors["model.norm.weight"][0] = math.nan
        tensors["model.layers.0.mlp.up_proj.weight"] *= 2
        tensors["model.embed_tokens.weight"] = torch.zeros(64, tiny.D_MODEL)

    def zero(tensors: tiny.Tensors) -> None:
        tensors["model.layers.2.input_layernorm.weight"][:] = 0

    a = tiny.gemma3_text(tmp_path / "a", 0, dtype=torch.bfloat16, change=zero)
    b = tiny.gemma3_text(tmp_path / "b", 0, n_layers=3, change=strange)
    found = differ(a, b)
    tensors = {tensor.name: tensor for tensor in found.tensors}
    assert found.reshaped == ("model.embed_tokens.weight",)
    assert len(found.only_in_a) == 13 and found.only_in_b == ()
    assert math.isnan(tensors["model.norm.weight"].relative)
    assert math.isinf(tensors["model.layers.2.input_layernorm.weight"].relative)
    assert tensors["model.layers.0.mlp.up_proj.weight"].relative > 0.5
    assert 0 < tensors["model.layers.1.mlp.up_proj.weight"].relative < 0.01  # bfloat16's rounding alone


def test_the_command_prints_json_and_draws_the_same_picture_each_time(tmp_path, base, donor):
    plots = [tmp_path / "one.png", tmp_path / "two.png"]
    for plot in plots:
        result = CliRunner().invoke(command, [str(base), str(donor), "--format", "json", "--plot", str(plot)])
        assert result.exit_code == 0, result.output
    value = json.loads(result.output)
    assert not value["identical"] and len(value["tensors"]) == 54
    assert plots[0].read_bytes() == plots[1].read_bytes()
    assert plots[0].read_bytes().startswith(b"\x89PNG")
    assert heat_map(differ(base, base), "nothing changed").startswith(b"\x89PNG")
    result = CliRunner().invoke(command, [str(base), str(base)])
    assert "identical: 54 tensors, byte for byte" in result.output
