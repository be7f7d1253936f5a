"""A dry run finds what a merge then does, and writes nothing."""

import math

import pytest
import torch
from click.testing import CliRunner

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.cli.merge import command
from sae_merge_method.errors import MergeError
from sae_merge_method.merge.in_place import edit_in_place
from sae_merge_method.merge.preview import preview
from tests import tiny
from tests.geometry import scenes
from tests.merge.scalpels import parameters, recipe
from tests.recipes import recipe_text, run_recipe


def look(text: str):
    return preview(RecipeText(text, "recipe.yml"), options={"quiet": True})


def test_each_layers_tensors_bytes_and_energy_are_those_of_the_merge(tmp_path, base, donor):
    text = recipe_text(base, donor, weight="0.5")
    seen = look(text)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "donor"]
    report = run_recipe(text, tmp_path / "out")
    assert [layer.layer for layer in seen.layers] == [1, 3]
    for layer in seen.layers:
        tensors = [tensor for tensor in report.edited() if tensor.layer == layer.layer]
        assert layer.tensors == len(tensors) == 13
        assert layer.nbytes == sum(tensor.nbytes for tensor in tensors)
        assert layer.energy == pytest.approx(sum(tensor.energy for tensor in tensors), rel=1e-12)
        assert layer == next(one for one in report.by_layer if one.layer == layer.layer)
    assert seen.kept == 54 - 26
    assert seen.only_mergekit is None


@pytest.mark.parametrize("gate", ['layers: "1, 3"', 'layers: "1, 3", rounding: stochastic'])
def test_a_recipe_that_only_mergekit_can_run_is_computed_too(tmp_path, base, donor, gate):
    text = recipe_text(base, donor, gate, tail="dtype: bfloat16")
    seen, report = look(text), run_recipe(text, tmp_path / "out")
    assert seen.only_mergekit == "writing bfloat16 over a float32 base changes every tensor"
    assert seen.layers == report.by_layer
    assert (seen.energy, seen.cosine, seen.changed) == (report.energy, report.cosine, report.changed)


def test_a_report_says_what_is_stored_of_what_was_to_be_added(tmp_path, caplog):
    folders = [tiny.gemma3_text(tmp_path / str(seed), seed, dtype=torch.bfloat16) for seed in (0, 1)]
    text = recipe_text(*folders, weight="0.001")
    report = run_recipe(text, tmp_path / "out")
    before, donor, after = (tiny.load_tensors(folder) for folder in (*folders, tmp_path / "out"))
    names = [tensor.name for tensor in report.edited()]
    was, give, now = (
        torch.cat([one[name].double().flatten() for name in names]) for one in (before, donor, after)
    )
    tau, moved = 0.001 * (give - was), now - was
    assert report.intended_energy == pytest.approx(float(tau @ tau), rel=1e-4)
    assert report.energy == pytest.approx(float(moved @ moved), rel=1e-4)
    assert report.component == pytest.approx(float(moved @ tau / (tau @ tau)), rel=1e-4)
    assert report.cosine == pytest.approx(float(torch.cosine_similarity(moved, tau, dim=0)), rel=1e-4)
    assert report.changed == pytest.approx(float((moved != 0).double().mean()))
    assert "'rounding: stochastic' keeps it on average" in caplog.text
    caplog.clear()
    kept = run_recipe(text.replace('"1, 3"', '"1, 3", rounding: stochastic'), tmp_path / "kept")
    assert kept.component == pytest.approx(1, abs=0.1) and kept.cosine < 0.9
    assert "keeps it on average" not in caplog.text


def test_what_the_merge_would_refuse_is_refused(tmp_path, base):
    def hole(tensors: tiny.Tensors) -> None:
        tensors["model.layers.3.mlp.up_proj.weight"][0, 0] = math.nan

    broken = tiny.gemma3_text(tmp_path / "broken", 1, change=hole)
    with pytest.raises(MergeError, match=r"layers\.3\.mlp\.up_proj\.weight: the donor tensor holds 1 NaN"):
        look(recipe_text(base, broken))


def test_the_command_prints_a_line_a_layer_and_their_sums(tmp_path, base, donor):
    (tmp_path / "r.yml").write_text(recipe_text(base, donor))
    done = CliRunner().invoke(command, [str(tmp_path / "r.yml"), "--dry-run"], catch_exceptions=False)
    lines = done.stdout.splitlines()
    assert lines[0].split() == [
        "layer", "tensors", "bytes", "energy", "kept", "along", "cosine", "changed",
    ]  # fmt: skip
    assert [line.split()[:2] for line in lines[1:4]] == [["1", "13"], ["3", "13"], ["all", "26"]]
    assert "dry run: nothing was written; 28 other tensors would stay the base's" in lines
    (tmp_path / "r.yml").write_text(recipe_text(base, donor, tail="dtype: bfloat16"))
    done = CliRunner().invoke(command, [str(tmp_path / "r.yml"), "--dry-run"], catch_exceptions=False)
    assert "this recipe runs through mergekit: writing bfloat16 over a float32 base" in done.stdout


def test_a_dry_run_and_an_edit_in_place_of_a_scalpel_say_and_do_what_the_merge_does(tmp_path):
    scene = scenes.build(tmp_path)
    source = recipe(scene, **parameters(scene, energy_match=True))
    merged = run_recipe(source, tmp_path / "out")
    seen = look(source)
    assert sum(layer.energy or 0 for layer in seen.layers) == pytest.approx(merged.energy, rel=1e-12)
    edited = edit_in_place(RecipeText(source, "recipe.yml"), hash_all=True)
    assert edited.result_sha256 == merged.result_sha256
