"""``sae-merge controls``: every arm merges through both doors and injects what it says."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from sae_merge_method.artifacts.arm import OTHER_LAYERS
from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.artifacts.recipe import Recipe, RecipeText
from sae_merge_method.cli.controls import command
from sae_merge_method.cli.recipe import command as recipe_command
from sae_merge_method.controls.settings import ControlSettings
from sae_merge_method.controls.write import write_controls
from sae_merge_method.errors import RecipeError
from sae_merge_method.recipe.methods import parse_recipe, written_parameters
from tests import tiny
from tests.attributions import save_attribution
from tests.diagnoses import save_diagnosis
from tests.geometry import scenes
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe

ARMS = {
    "stethoscope", "base", "donor", "all-layers", "all-layers-damped", "random-layers-0", "random-layers-1",
    "depth-matched", "largest-task-vector", "lowest-specificity", "scalpel", "scalpel-random",
    "stethoscope-energy-matched", "damped-0.25", "damped-0.5", "all-but-the-last-0.25", "all-but-the-last-0.5",
    "random-spread-0", "every-nth", "window-0", "window-1",
}  # fmt: skip


def write_recipe(scene: scenes.Scene, out: Path, *words: str) -> Path:
    given = ["--diagnosis", scene.diagnosis, "--base", scene.base, "--donor", scene.donor, "--out", out]
    arguments = [str(word) for word in (*given, "--select", "top_k=2", "--weight", "0.8", *words)]
    CliRunner().invoke(recipe_command, arguments, catch_exceptions=False, standalone_mode=False)
    return out


@pytest.fixture(scope="module")
def arms(scene: scenes.Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("controls")
    recipe = write_recipe(scene, root / "recipe.yml")
    words = [str(recipe), "--out", str(root / "arms"), "--random-layers", "2", "--rank", "4"]
    words += ["--damping", "0.5,0.25", "--windows", "2", "--random-spread", "1", "--every-nth", "2"]
    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert {line.split()[0] for line in result.stdout.splitlines()[2:]} == ARMS
    return root / "arms"


@pytest.fixture(scope="module")
def merged(arms: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, EditReport]:
    root = tmp_path_factory.mktemp("merged")
    return {path.stem: run_recipe(path.read_text(), root / path.stem) for path in sorted(arms.iterdir())}


def read(arms: Path) -> dict[str, Recipe]:
    return {path.stem: parse_recipe(path.read_text(), str(path)) for path in arms.iterdir()}


def test_every_arm_injects_the_energy_that_its_file_states(arms, merged):
    recipes = read(arms)
    assert recipes.keys() == merged.keys() == ARMS
    for name, recipe in recipes.items():
        assert recipe.sae_control is not None and recipe.sae_control.name == name
        assert merged[name].energy == pytest.approx(recipe.sae_control.energy, rel=1e-4, abs=1e-12), name
        text = (arms / f"{name}.yml").read_text()
        assert text.startswith(
            f"# {name}: controls for {recipe.sae_control.controls_for}.\n# Injected energy "
        )


def test_equal_energy_arms_are_equal_in_energy(merged):
    assert merged["all-layers-damped"].energy == pytest.approx(merged["stethoscope"].energy, rel=1e-4)
    assert merged["stethoscope-energy-matched"].energy == pytest.approx(merged["scalpel"].energy, rel=1e-4)
    assert merged["base"].energy == 0
    assert merged["scalpel"].energy < merged["stethoscope"].energy < merged["all-layers"].energy


def test_arms_open_the_layers_they_say(merged):
    layers = {name: report.layers for name, report in merged.items()}
    assert layers["stethoscope"] == layers["scalpel"] == layers["scalpel-random"] == (1, 3)
    assert layers["lowest-specificity"] == (0, 2)  # scores 0.1 and 0.2
    assert layers["depth-matched"] == (0, 2)  # the only other two
    assert layers["all-layers"] == layers["all-layers-damped"] == layers["donor"] == (0, 1, 2, 3)
    assert layers["damped-0.25"] == layers["damped-0.5"] == (0, 1, 2, 3)
    assert layers["all-but-the-last-0.25"] == (0, 1, 2)
    assert (layers["window-0"], layers["window-1"], layers["every-nth"]) == ((0, 1), (2, 3), (0, 2))
    assert layers["random-spread-0"] in ((0, 2), (0, 3))  # of sets without neighbours, those but the pick
    drawn = [layers["random-layers-0"], layers["random-layers-1"]]
    assert len({*drawn, (1, 3)}) == 3


def test_base_is_the_base_and_donor_has_the_donors_layers(scene, arms, tmp_path):
    base, donor = tiny.load_tensors(scene.base), tiny.load_tensors(scene.donor)
    for name, expected in (("base", base), ("donor", donor)):
        run_recipe((arms / f"{name}.yml").read_text(), tmp_path / name)
        out = tiny.load_tensors(tmp_path / name)
        for tensor in (tensor for tensor in out if ".layers." in tensor):
            assert out[tensor].allclose(expected[tensor], atol=1e-7), tensor
        assert tiny.same_bytes(out["model.norm.weight"], base["model.norm.weight"])


def test_the_scalpel_and_its_random_twin_differ_only_in_mode(arms):
    recipes = read(arms)
    project, random = (written_parameters(recipes[name]) for name in ("scalpel", "scalpel-random"))
    assert project | {"mode": "random"} == random | {"mode": "random"}
    assert (project["mode"], random["mode"], project["rank"]) == ("project", "random", 4)


def test_plain_mergekit_runs_an_arm_too(arms, tmp_path, merged):
    for name in ("scalpel-random", "stethoscope-energy-matched", "all-layers-damped"):
        source = (arms / f"{name}.yml").read_text()
        stock = plain_mergekit(source, tmp_path / "stock" / name)
        run_recipe(source, tmp_path / "ours" / name)
        ours = tiny.load_tensors(tmp_path / "ours" / name)
        assert all(tiny.same_bytes(stock[tensor], ours[tensor]) for tensor in stock), name


def test_the_same_recipe_writes_the_same_arms(scene, arms, tmp_path):
    recipe = write_recipe(scene, tmp_path / "recipe.yml")
    write_controls(
        recipe,
        tmp_path / "again",
        ControlSettings(
            random_layers=2, rank=4, damping=(0.25, 0.5), windows=2, random_spread=1, every_nth=2
        ),
    )
    for path in arms.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_recipe_that_opens_every_layer_has_no_other_layers_to_control_with(scene, tmp_path, caplog):
    recipe = write_recipe(scene, tmp_path / "recipe.yml", "--select", "layers=0-3")
    found = write_controls(
        recipe, tmp_path / "arms", ControlSettings(rank=2, damping=(), every_nth=0, windows=0)
    )
    assert {arm.name for arm in found} == {
        "stethoscope", "base", "donor", "all-layers", "all-layers-damped", "scalpel", "scalpel-random",
        "stethoscope-energy-matched",
    }  # fmt: skip
    assert "no other layers" in caplog.text


def test_recipes_that_cannot_be_controlled_are_refused(scene, tmp_path):
    scalpel = write_recipe(
        scene, tmp_path / "s.yml", "--method", "sae_scalpel", "--set", "rank=4", "--set", "mode=reject"
    ).read_text()
    assert written_parameters(parse_recipe(scalpel, "s"))["mode"] == "reject"
    raw = write_recipe(scene, tmp_path / "r.yml").read_text()
    uneven = raw.replace("weight: 0.8", "weight: 0.5", 1)
    filtered = raw.replace(
        "weight: 0.8",
        'weight: [{filter: "layers.1.", value: 1}, {filter: "layers.3.", value: 0.5}, {value: 0}]',
    )
    nowhere = "\n".join(line for line in raw.splitlines() if "path: " not in line)
    for text, message in (
        (scalpel, "expected a recipe of sae_stethoscope, got sae_scalpel"),
        (uneven, "one donor with the same weight in every selected layer"),
        (filtered, r"input_layernorm.weight has 0 in layer 0, 1 in layer 1"),
        (nowhere, "name it with --diagnosis"),
        (raw.replace("weight: 0.8", "weight: 0.0"), "nothing is injected in layers 1, 3"),
        (raw + "out_dtype: float16\n", "dtype: float16 over a float32 base would change every tensor"),
    ):
        with pytest.raises(RecipeError, match=message):
            (tmp_path / "wrong.yml").write_text(text)
            write_controls(tmp_path / "wrong.yml", tmp_path / "arms", ControlSettings(rank=2))
        assert not (tmp_path / "arms").exists()


def test_filters_by_part_are_weights_of_every_layer(scene, tmp_path):
    raw = write_recipe(scene, tmp_path / "recipe.yml").read_text()
    text = raw.replace("weight: 0.8", "weight: [{filter: mlp, value: 1}, {value: 0.5}]")
    asked = ControlSettings(arms=("stethoscope", "all-layers", "depth-matched"), rank=2)
    arms = write_controls(RecipeText(text, "r"), tmp_path / "arms", asked)
    assert [arm.layers for arm in arms] == [(1, 3), (0, 1, 2, 3), (0, 2)]
    for arm in arms:
        report = run_recipe((tmp_path / "arms" / f"{arm.name}.yml").read_text(), tmp_path / arm.name)
        assert report.intended_energy == pytest.approx(arm.planned_energy, rel=1e-5)


def test_arms_that_would_be_the_base_are_left_out_and_named(tmp_path, caplog):
    untouched = tiny.text_tensors(0)

    def frozen(tensors: tiny.Tensors) -> None:
        for name in tensors:
            if not any(f"layers.{layer}." in name for layer in (1, 3)):
                tensors[name] = untouched[name].clone()

    scene = scenes.build(tmp_path, change=frozen)
    recipe = write_recipe(scene, tmp_path / "recipe.yml")
    arms = write_controls(recipe, tmp_path / "arms", ControlSettings(rank=2, windows=4, every_nth=2))
    assert all(arm.planned_energy or arm.name == "base" for arm in arms)
    assert {arm.name for arm in arms if arm.role in OTHER_LAYERS} == {"window-1", "window-3"}
    assert "no arm every-nth, window-0, window-2: the donor changes nothing there" in caplog.text
    assert (
        "no arm random-layers, random-spread, depth-matched, largest-task-vector, lowest-specificity: "
        "there are too few other layers that the donor changes" in caplog.text
    )


def test_arms_of_a_base_of_several_dtypes_merge_and_keep_each_tensors_own(tmp_path):
    scene = scenes.build(tmp_path, dtype=torch.bfloat16, of_base=tiny.wide_norms)
    recipe = write_recipe(scene, tmp_path / "recipe.yml")
    assert "\ndtype:" not in recipe.read_text()
    asked = ControlSettings(arms=("stethoscope", "all-layers-damped", "depth-matched"), rank=2)
    own = {name: tensor.dtype for name, tensor in tiny.load_tensors(scene.base).items()}
    for arm in write_controls(recipe, tmp_path / "arms", asked):
        report = run_recipe((tmp_path / "arms" / f"{arm.name}.yml").read_text(), tmp_path / arm.name)
        after = tiny.load_tensors(tmp_path / arm.name)
        assert {name: tensor.dtype for name, tensor in after.items()} == own
        assert arm.planned_realised is not None
        assert report.energy == pytest.approx(arm.planned_realised.energy, rel=1e-4)


def test_layers_chosen_by_raw_scores_have_controls_by_raw_scores(scene, tmp_path):
    corrected = {0: 0.05, 1: 0.1, 2: 0.15, 3: 0.7}  # layers 0 and 1 are the lowest, of raw scores 0 and 2
    diagnosis = save_diagnosis(tmp_path / "d", scene.base, scenes.SCORES, corrected=corrected)
    again = save_diagnosis(tmp_path / "again", scene.base, scenes.SCORES, corrected=corrected)
    for units, lowest in (("raw", (0, 2)), ("corrected", (0, 1))):
        words = ["--diagnosis", str(diagnosis), "--units", units]
        recipe = write_recipe(scene, tmp_path / f"{units}.yml", *words)
        for instead in (None, str(again)):
            asked = ControlSettings(arms=("lowest-specificity",), diagnosis=instead)
            (arm,) = write_controls(recipe, tmp_path / f"{units}-{instead is None}", asked)
            assert arm.layers == lowest


def test_layers_chosen_by_a_score_that_knows_the_donor_have_controls_by_that_score(scene, tmp_path, caplog):
    attribution = save_attribution(tmp_path / "attribution", scene.base, scene.donor)
    recipe = write_recipe(
        scene, tmp_path / "recipe.yml", "--diagnosis", attribution, "--score", "attributed_gain"
    )
    asked = ControlSettings(arms=("stethoscope", "lowest-specificity", "scalpel", "scalpel-random"))
    arms = write_controls(recipe, tmp_path / "without", asked)
    assert [(arm.name, arm.layers) for arm in arms] == [
        ("stethoscope", (1, 3)),
        ("lowest-specificity", (0, 2)),
    ]
    assert "no arm scalpel, scalpel-random: an attribution chose the layers" in caplog.text
    beside = asked.model_copy(update={"diagnosis": str(scene.diagnosis)})
    arms = write_controls(recipe, tmp_path / "beside", beside)
    assert [arm.name for arm in arms][2:] == ["scalpel", "scalpel-random"]
    assert arms[1].layers == (0, 2)
    gate = f"diagnosis: {attribution}, score: attributed_gain, select: top_k=2"
    computed = tmp_path / "computed.yml"
    computed.write_text(recipe_text(scene.base, scene.donor, gate))
    arms = write_controls(computed, tmp_path / "computed", asked)
    assert [arm.layers for arm in arms] == [(1, 3), (0, 2)]
