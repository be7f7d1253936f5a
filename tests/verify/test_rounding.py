"""An audit computes roundings anew: another seed, another kind and a rounding too many are found."""

from pathlib import Path

import pytest
import torch

from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.geometry import scenes
from tests.merge.scalpels import LAYERS, parameters, recipe
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe
from tests.verify.conftest import rewrite

STOCHASTIC = 'layers: "1, 3", rounding: stochastic, rounding_seed: 5'
ALPHA = "0.003"  # so that the edit is of the size of bfloat16's step


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    """A base and a donor in bfloat16."""
    return tuple(
        tiny.gemma3_text(tmp_path / side, seed, dtype=torch.bfloat16)
        for side, seed in (("base", 0), ("donor", 1))
    )


def without_report(out: Path, before: str = "", after: str = "") -> Path:
    """A merged folder that says of itself what its recipe says, and that the recipe is another."""
    (out / "edit_report.json").unlink()
    text = (out / "mergekit_config.yml").read_text()
    assert before in text
    (out / "mergekit_config.yml").write_text(text.replace(before, after))
    return out


@pytest.mark.parametrize("method", ["sae_stethoscope", "sae_scalpel"])
def test_a_stochastic_merge_is_proved_and_no_other_seed_or_rounding_passes_for_it(tmp_path, method):
    scene = scenes.build(tmp_path, dtype=torch.bfloat16)
    if method == "sae_scalpel":
        source = recipe(scene, **parameters(scene, layers=LAYERS, rounding="stochastic", rounding_seed=5))
    else:
        source = recipe_text(scene.base, scene.donor, STOCHASTIC, ALPHA)
    run_recipe(source, tmp_path / "out")
    report = verify(tmp_path / "out")
    assert report.sound and not report.unproved
    assert any("rounded once, stochastic (seed 5)" in line for line in report.proved)
    out = without_report(tmp_path / "out", "rounding_seed: 5", "rounding_seed: 6")
    assert len(verify(out).violated) > 10
    run_recipe(source.replace("rounding: stochastic", "rounding: nearest"), tmp_path / "nearest")
    out = without_report(tmp_path / "nearest", "rounding: nearest", "rounding: stochastic")
    assert len(verify(out).violated) > 10


def test_nearest_in_place_of_stochastic_is_named(tmp_path, models):
    run_recipe(recipe_text(*models, STOCHASTIC.replace("stochastic", "nearest"), ALPHA), tmp_path / "out")
    out = without_report(tmp_path / "out", "rounding: nearest", "rounding: stochastic")
    said = [one.what for one in verify(out).violated]
    assert len(said) > 10
    assert all("it is rounded nearest, the recipe says stochastic (seed 5)" in what for what in said)


def test_a_report_and_a_recipe_that_differ_in_the_rounding_are_told_apart(tmp_path, models):
    run_recipe(recipe_text(*models, STOCHASTIC, ALPHA), tmp_path / "out")
    config = tmp_path / "out" / "mergekit_config.yml"
    config.write_text(config.read_text().replace("rounding_seed: 5", "rounding_seed: 6"))
    wrong = {one.where: one.what for one in verify(tmp_path / "out").violated}
    assert wrong["mergekit_config.yml"] == "rounding_seed is 6, edit_report.json says 5"


@pytest.mark.parametrize("key", ["dtype", "out_dtype"])
def test_wider_output_is_proved_by_all_doors_and_not_where_it_was_rounded_first(tmp_path, models, key):
    source = recipe_text(*models, weight=ALPHA, tail=f"{key}: float32")
    run_recipe(source, tmp_path / "out")
    report = verify(tmp_path / "out")
    assert report.sound and any("in float32, rounded to no narrower type" in line for line in report.proved)
    assert any("the base's values, widened to float32" in line for line in report.proved)
    plain_mergekit(source, tmp_path / "stock")
    (tmp_path / "stock" / "mergekit_config.yml").write_text(source)
    assert not verify(tmp_path / "stock").violated

    def round_first(tensors: tiny.Tensors) -> None:
        for name, tensor in tensors.items():
            tensors[name] = tensor.bfloat16().float()

    out = without_report(rewrite(tmp_path / "out", round_first))
    violated = verify(out).violated
    assert len(violated) == 26
    assert "it is rounded to bfloat16 first" in violated[0].what
