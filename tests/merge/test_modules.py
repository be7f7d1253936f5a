"""A gate that opens parts of layers: the same bytes by every door, and nothing else of the layer."""

from pathlib import Path

import pytest
import torch
import yaml

from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.errors import MergeError, RecipeError
from sae_merge_method.layers import LayerModule, format_layers
from sae_merge_method.merge.preview import preview
from sae_merge_method.merge.show import summary
from sae_merge_method.merge.undo import undo
from sae_merge_method.models.tensor_names import layer_part
from tests import tiny
from tests.merge.edited_in_place import edit, sharded_base, state
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe

GATE = 'layers: "0, 1.attn, 3.mlp"'
OPEN = {"0": "", "1": "self_attn.", "3": "mlp."}
"""By open layer, how the names of its open tensors begin."""


def is_open(name: str) -> bool:
    within = layer_part(name)
    return (
        within is not None and str(within.layer) in OPEN and within.part.startswith(OPEN[str(within.layer)])
    )


def expected(base: Path, donor: Path, weight: float = 1.0) -> tiny.Tensors:
    before, give = tiny.load_tensors(base), tiny.load_tensors(donor)
    return {
        name: tensor + (give[name] - tensor) * weight if is_open(name) else tensor
        for name, tensor in before.items()
    }


def assert_same(out: Path, tensors: tiny.Tensors) -> None:
    written = tiny.load_tensors(out)
    assert written.keys() == tensors.keys()
    assert [name for name in written if not tiny.same_bytes(written[name], tensors[name])] == []


def test_an_open_part_is_edited_and_the_rest_of_its_layer_stays(tmp_path, base, donor, merge):
    merge(recipe_text(base, donor, GATE, weight="0.5"))
    wanted = expected(base, donor, 0.5)
    assert_same(tmp_path / "out", wanted)
    before = tiny.load_tensors(base)
    changed = {name for name in before if not tiny.same_bytes(wanted[name], before[name])}
    assert changed == {name for name in before if is_open(name)} and len(changed) == 13 + 6 + 3


def test_both_engines_report_parts_by_their_names(tmp_path, base, donor, merge):
    report = merge(recipe_text(base, donor, GATE))
    assert report.layers == (0, LayerModule(1, "attn"), LayerModule(3, "mlp"))
    assert [(one.layer, one.tensors) for one in report.by_layer] == [
        (0, 13),
        (LayerModule(1, "attn"), 6),
        (LayerModule(3, "mlp"), 3),
    ]
    assert sum(one.energy for one in report.by_layer) == pytest.approx(report.energy)
    assert read_edit_report(tmp_path / "out") == report
    assert '"1.attn"' in (tmp_path / "out" / "edit_report.json").read_text()
    assert summary(report).startswith("layers 0, 1.attn, 3.mlp: 22 of 54 tensors edited")


def test_mergekit_itself_obeys_a_gate_of_parts(tmp_path, base, donor):
    plain_mergekit(recipe_text(base, donor, GATE), tmp_path / "out")
    assert_same(tmp_path / "out", expected(base, donor))


def test_slices_that_name_the_donor_in_open_layers_alone_are_obeyed_too(tmp_path, base, donor):
    def slices(first: int, end: int, *models: Path) -> dict[str, object]:
        return {"sources": [{"model": str(model), "layer_range": [first, end]} for model in models]}

    recipe = {
        "merge_method": "sae_stethoscope",
        "base_model": str(base),
        "slices": [slices(0, 2, base, donor), slices(2, 3, base), slices(3, 4, base, donor)],
        "parameters": {"layers": "0, 1.attn, 3.mlp"},
    }
    run_recipe(yaml.safe_dump(recipe), tmp_path / "ours")
    assert_same(tmp_path / "ours", expected(base, donor))
    plain_mergekit(yaml.safe_dump(recipe), tmp_path / "plain")
    plain = tiny.load_tensors(tmp_path / "plain")
    wanted = expected(base, donor)
    assert all(tiny.same_bytes(plain[name], wanted[name]) for name in plain if layer_part(name) is not None)


def test_both_parts_are_not_the_layer_because_norms_lie_between_them(tmp_path, base, donor, merge):
    merge(recipe_text(base, donor, 'layers: "1.attn, 1.mlp"'))
    out, before = tiny.load_tensors(tmp_path / "out"), tiny.load_tensors(base)
    kept = {name for name in out if ".layers.1." in name and tiny.same_bytes(out[name], before[name])}
    assert kept == {name for name in out if ".layers.1." in name and "layernorm" in name}


def test_what_a_donor_holds_in_a_closed_part_does_not_matter(tmp_path, base, merge):
    def strange(tensors: tiny.Tensors) -> None:
        tensors["model.layers.1.mlp.up_proj.weight"] = torch.full((3, 3), float("nan"))
        del tensors["model.layers.1.input_layernorm.weight"]
        del tensors["model.layers.3.self_attn.q_norm.weight"]

    donor = tiny.gemma3_text(tmp_path / "strange", 1, change=strange)
    whole = tiny.gemma3_text(tmp_path / "whole", 1)
    merge(recipe_text(base, donor, GATE))
    assert_same(tmp_path / "out", expected(base, whole))


def test_what_a_donor_lacks_in_an_open_part_is_named(tmp_path, base, merge):
    def short(tensors: tiny.Tensors) -> None:
        del tensors["model.layers.1.self_attn.q_norm.weight"]

    donor = tiny.gemma3_text(tmp_path / "short", 1, change=short)
    with pytest.raises(MergeError, match=r"layers\.1\.self_attn\.q_norm\.weight .* has no such tensor"):
        merge(recipe_text(base, donor, GATE))


def test_a_part_that_the_layer_does_not_have_is_refused_by_name(tmp_path, merge):
    def without(tensors: tiny.Tensors) -> None:
        for name in [name for name in tensors if name.startswith("model.layers.3.mlp.")]:
            tensors[name.replace("mlp.", "mixer.")] = tensors.pop(name)

    base, donor = (tiny.gemma3_text(tmp_path / str(seed), seed, change=without) for seed in (0, 1))
    with pytest.raises(MergeError, match=r"3\.mlp is selected, but layer 3 .* made of .*mixer.*, self_attn"):
        merge(recipe_text(base, donor, GATE))
    assert not (tmp_path / "out").exists()


def test_an_open_part_without_a_donor_is_an_error(tmp_path, base, donor):
    recipe = {
        "merge_method": "sae_stethoscope",
        "base_model": str(base),
        "slices": [{"sources": [{"model": str(base), "layer_range": [0, 4]}]}],
        "parameters": {"layers": "1.attn"},
    }
    with pytest.raises(RecipeError, match="layers 1 are selected, but the recipe names no donor"):
        run_recipe(yaml.safe_dump(recipe), tmp_path / "out")


def test_a_dry_run_counts_parts(base, donor):
    seen = preview(RecipeText(recipe_text(base, donor, GATE), "recipe.yml"), options={"quiet": True})
    assert format_layers(one.layer for one in seen.layers) == "0, 1.attn, 3.mlp"
    assert (sum(one.tensors for one in seen.layers), seen.kept) == (22, 32)


def test_an_edit_in_place_of_parts_can_be_undone(tmp_path, donor):
    folder = sharded_base(tmp_path)
    before, wanted = state(folder), expected(folder, donor)
    edit(recipe_text(folder, donor, GATE))
    assert_same(folder, wanted)
    undo(folder)
    assert state(folder) == before


def test_a_scalpel_cuts_a_part_as_it_cuts_the_whole_layer(tmp_path, scene, merge):
    gates = {"whole": "1, 3", "parts": "1.attn, 3.mlp"}
    for name, layers in gates.items():
        gate = f'layers: "{layers}", diagnosis: "{scene.diagnosis}", rank: 4'
        merge(recipe_text(scene.base, scene.donor, gate).replace("sae_stethoscope", "sae_scalpel"), out=name)
    whole, parts, before = (
        tiny.load_tensors(folder) for folder in (tmp_path / "whole", tmp_path / "parts", scene.base)
    )
    opened = {name for name in before if "layers.1.self_attn." in name or "layers.3.mlp." in name}
    assert all(tiny.same_bytes(parts[name], (whole if name in opened else before)[name]) for name in before)
    assert any(not tiny.same_bytes(parts[name], before[name]) for name in opened)
