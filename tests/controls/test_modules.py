"""Controls of a recipe that opens parts of layers: its rivals open as many parts, at its energy."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from sae_merge_method.artifacts.arm import OTHER_LAYERS, ArmIdentity
from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.controls.settings import ControlSettings
from sae_merge_method.controls.write import write_controls
from sae_merge_method.errors import MergeError
from sae_merge_method.layers import format_layers, layers_of, parse_units, part_of_layer
from sae_merge_method.recipe.methods import parse_recipe
from tests import tiny
from tests.diagnoses import save_diagnosis
from tests.geometry import scenes
from tests.recipes import recipe_text, run_recipe

SELECTED = parse_units("1.attn, 3.mlp")
RIVALS = ("random-layers-0", "random-layers-1", "random-layers-2", "depth-matched", "largest-task-vector",
          "other-parts", "every-nth")  # fmt: skip


class Written(NamedTuple):
    """The arms of a recipe, and the folder of their files."""

    folder: Path
    arms: dict[str, ArmIdentity]


@pytest.fixture(scope="module")
def written(scene: scenes.Scene, tmp_path_factory: pytest.TempPathFactory) -> Written:
    root = tmp_path_factory.mktemp("controls")
    text = recipe_text(scene.base, scene.donor, f'layers: "{format_layers(SELECTED)}"', weight="0.8")
    settings = ControlSettings(
        diagnosis=str(scene.diagnosis),
        random_layers=3,
        rank=4,
        damping=(),
        windows=0,
        random_spread=0,
        every_nth=2,
    )
    arms = write_controls(RecipeText(text, "recipe.yml"), root / "arms", settings)
    return Written(root / "arms", {arm.name: arm for arm in arms})


@pytest.fixture(scope="module")
def merged(written, tmp_path_factory: pytest.TempPathFactory) -> dict[str, EditReport]:
    root = tmp_path_factory.mktemp("merged")
    names = ("stethoscope", "scalpel", *RIVALS)
    return {name: run_recipe((written.folder / f"{name}.yml").read_text(), root / name) for name in names}


def test_rivals_open_other_layers_in_the_same_ways(written):
    arms = written.arms
    kinds = Counter(map(part_of_layer, SELECTED))
    for name in ("random-layers-0", "random-layers-1", "random-layers-2", "depth-matched"):
        layers = arms[name].layers
        assert Counter(map(part_of_layer, layers)) == kinds, name
        assert layers_of(layers) != layers_of(SELECTED)
    assert arms["depth-matched"].layers == parse_units("0.attn, 2.mlp")  # the only other two
    assert arms["other-parts"].layers == parse_units("1.mlp, 3.attn")
    assert "lowest-specificity" not in arms  # no part was diagnosed
    assert arms["all-layers"].layers == (0, 1, 2, 3)


def test_rivals_have_the_recipes_energy_in_what_is_stored(merged):
    for name in RIVALS:
        assert merged[name].energy == pytest.approx(merged["stethoscope"].energy, rel=1e-3), name
    assert merged["stethoscope"].layers == merged["scalpel"].layers == SELECTED
    assert 0 < merged["scalpel"].energy < merged["stethoscope"].energy


def test_arms_say_what_they_open_and_how_they_got_their_energy(written):
    twin = (written.folder / "depth-matched.yml").read_text()
    assert (
        "# Modules 0.attn, 2.mlp of 4 layers; 0 of the 2 selected ones (1.attn, 3.mlp) among them.\n" in twin
    )
    assert "# Scaled until the energy of what is stored is stethoscope's.\n" in twin
    for name in RIVALS:
        assert written.arms[name].matched == "realised"
        recipe = parse_recipe((written.folder / f"{name}.yml").read_text(), name)
        assert recipe.parameters.layers == format_layers(written.arms[name].layers)


def without_attention(tensors: tiny.Tensors) -> None:
    """Turn the attention of layers 0 and 1 into convolutions, as hybrid models have them; in place."""
    for name in list(tensors):
        if "layers.0.self_attn" in name or "layers.1.self_attn" in name:
            tensors[name.replace("self_attn", "conv")] = tensors.pop(name)


@pytest.mark.parametrize(
    ("gate", "twin"), [("2.attn", "3.attn"), ("2.attn, 3.mlp", None), ("1.mlp, 2.attn", "0.mlp, 3.attn")]
)
def test_in_a_hybrid_model_rivals_lie_where_the_parts_are(tmp_path, caplog, gate, twin):
    scene = scenes.build(tmp_path, change=without_attention, of_base=without_attention)
    text = recipe_text(scene.base, scene.donor, f'layers: "{gate}"')
    settings = ControlSettings(diagnosis=str(scene.diagnosis), rank=2)
    arms = write_controls(RecipeText(text, "r"), tmp_path / "arms", settings)
    found = {arm.name: arm.layers for arm in arms}
    if twin is None:
        assert "depth-matched: there are too few other layers with such parts" in caplog.text
    assert found.get("depth-matched") == (None if twin is None else parse_units(twin))
    assert all(arm.planned_energy for arm in arms if arm.role in OTHER_LAYERS)


def test_a_part_that_the_layer_lacks_is_refused_by_name(tmp_path):
    scene = scenes.build(tmp_path, change=without_attention, of_base=without_attention)
    text = recipe_text(scene.base, scene.donor, 'layers: "0.attn"')
    settings = ControlSettings(diagnosis=str(scene.diagnosis), rank=2)
    with pytest.raises(MergeError, match="0.attn is selected, but layer 0 of the base .* has nothing"):
        write_controls(RecipeText(text, "r"), tmp_path / "arms", settings)


def test_a_diagnosis_of_modules_has_scores_for_the_lowest_and_no_features_for_a_scalpel(
    scene, tmp_path, caplog
):
    scores = dict(
        zip(parse_units("0-3.attn, 0-3.mlp"), (1.0, 0.2, 0.9, 0.3, 0.4, 0.5, 0.8, 0.1), strict=True)
    )
    diagnosis = save_diagnosis(tmp_path / "diagnosis", scene.base, scores)
    text = recipe_text(scene.base, scene.donor, 'layers: "1.attn, 3.attn"')
    settings = ControlSettings(
        diagnosis=str(diagnosis), random_layers=0, damping=(), windows=0, random_spread=0, every_nth=0
    )
    arms = {arm.name: arm for arm in write_controls(RecipeText(text, "r"), tmp_path / "arms", settings)}
    assert arms["lowest-specificity"].layers == parse_units("2.attn, 3.attn")
    assert not [name for name in arms if name.startswith("scalpel")]
    assert (
        "no arm scalpel, scalpel-random, stethoscope-energy-matched: the diagnosis is of modules"
        in caplog.text
    )
