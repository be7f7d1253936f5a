"""Recipes as ``sae-merge recipe`` writes them, run by the stock mergekit entry point."""

import math
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner

from sae_merge_method.artifacts.diagnosis import OtherScores
from sae_merge_method.artifacts.recipe import Gate
from sae_merge_method.cli.recipe import command
from sae_merge_method.errors import MergeError, RecipeError, UsageError
from sae_merge_method.models.tensor_names import decoder_layer
from sae_merge_method.recipe.from_diagnosis import RecipeSettings, WrittenRecipe, make_recipe
from sae_merge_method.recipe.gate import selected_layers
from sae_merge_method.recipe.methods import parse_recipe, written_parameters
from tests import tiny
from tests.diagnoses import save_diagnosis
from tests.geometry import scenes
from tests.mergekit import plain_mergekit

SCORES = {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8}


def written(diagnosis: Path, base: Path, donor: Path, select: str, weight: float = 1.0) -> WrittenRecipe:
    return make_recipe(
        RecipeSettings(
            diagnosis=str(diagnosis), base=str(base), donor=str(donor), select=select, weight=weight
        )
    )


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny.gemma3_text(tmp_path / "base", seed=0)


@pytest.fixture
def diagnosis(tmp_path: Path, base: Path) -> Path:
    return save_diagnosis(tmp_path / "diagnosis", base, SCORES)


def test_plain_mergekit_runs_the_written_recipe_and_never_reads_the_donor_elsewhere(
    tmp_path, base, diagnosis
):
    def strange(tensors: tiny.Tensors) -> None:
        tensors["model.layers.0.mlp.up_proj.weight"][:] = math.nan
        del tensors["model.layers.2.mlp.up_proj.weight"]
        del tensors["model.norm.weight"]

    donor = tiny.gemma3_text(tmp_path / "donor", 1, vocabulary=64, change=strange)
    recipe = written(diagnosis, base, donor, "top_k=2")
    assert recipe.layers == (1, 3)
    plain_mergekit(recipe.text, tmp_path / "out")
    assert tiny.edited_layers(tmp_path / "out", base) == {1, 3}
    assert (tmp_path / "out" / "mergekit_config.yml").read_text() == recipe.text


def test_plain_mergekit_and_sae_merge_write_the_same_tensors(tmp_path, base, diagnosis):
    from tests.recipes import run_recipe

    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    recipe = written(diagnosis, base, donor, "layers=0,2-3", weight=0.7)
    plain_mergekit(recipe.text, tmp_path / "stock")
    run_recipe(recipe.text, tmp_path / "ours")
    stock, ours = tiny.load_tensors(tmp_path / "stock"), tiny.load_tensors(tmp_path / "ours")
    assert stock.keys() == ours.keys()
    assert all(tiny.same_bytes(stock[name], ours[name]) for name in stock)


def test_a_wider_donor_is_rounded_once_also_by_plain_mergekit(tmp_path):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    diagnosis = save_diagnosis(tmp_path / "diagnosis", base, SCORES)
    recipe = written(diagnosis, base, donor, "top_k=1", weight=0.3)
    plain_mergekit(recipe.text, tmp_path / "out")
    before, give, out = (tiny.load_tensors(path) for path in (base, donor, tmp_path / "out"))
    assert tiny.edited_layers(tmp_path / "out", base) == {1}
    for name in (name for name in out if decoder_layer(name) == 1):
        theta = before[name].float()
        assert tiny.same_bytes(out[name], (theta + (give[name] - theta) * 0.3).bfloat16())


def test_a_multimodal_recipe_names_every_module_and_edits_the_text_decoder_alone(tmp_path):
    base = tiny.gemma3_multimodal(tmp_path / "base", 0)
    donor = tiny.gemma3_multimodal(tmp_path / "donor", 1)
    diagnosis = save_diagnosis(tmp_path / "diagnosis", base, SCORES)
    recipe = written(diagnosis, base, donor, "top_k=1")
    plain_mergekit(recipe.text, tmp_path / "out")
    before, after = tiny.load_tensors(base), tiny.load_tensors(tmp_path / "out")
    assert before.keys() == after.keys()
    changed = {name for name in before if not tiny.same_bytes(before[name], after[name])}
    assert len(changed) == 13
    assert all(name.startswith("language_model.model.layers.1.") for name in changed)


def test_a_gate_computed_at_merge_time_equals_the_decided_one(tmp_path, base, diagnosis):
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    source = f"""\
merge_method: sae_stethoscope
base_model: {base}
models: [{{model: {donor}}}]
dtype: float32
parameters: {{diagnosis: "{diagnosis}", select: "top_k=2"}}
"""
    plain_mergekit(source, tmp_path / "computed")
    assert tiny.edited_layers(tmp_path / "computed", base) == {1, 3}


def test_a_failing_plain_merge_leaves_nothing_that_looks_like_a_model(tmp_path, base, diagnosis):
    def hole(tensors: tiny.Tensors) -> None:
        tensors["model.layers.3.mlp.down_proj.weight"][0] = math.nan

    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    text = written(diagnosis, base, donor, "top_k=2").text
    broken = tiny.gemma3_text(tmp_path / "broken", 1, change=hole)
    with pytest.raises(MergeError, match=r"model\.layers\.3\.mlp\.down_proj\.weight: the donor tensor holds"):
        plain_mergekit(text.replace(str(donor), str(broken)), tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").exists()
    assert not list((tmp_path / "out").glob("model*.safetensors"))


def test_the_recipe_holds_the_scores_and_is_read_back_strictly(base, diagnosis, tmp_path):
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    text = written(diagnosis, base, donor, "top_k=2").text
    recipe = parse_recipe(text, "recipe.yml")
    assert recipe.parameters.layers == "1, 3"
    assert recipe.sae_evidence is not None
    assert recipe.sae_evidence["scores"] == SCORES
    assert recipe.sae_evidence["select"] == "top_k=2"
    assert "# The donor is named only in the selected layers" in text


def test_a_diagnosis_of_another_model_is_refused(tmp_path, diagnosis):
    other = tiny.gemma3_text(tmp_path / "other", 5, vocabulary=64)
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    with pytest.raises(RecipeError, match="holds other weights"):
        written(diagnosis, other, donor, "top_k=2")


def test_a_rule_that_selects_nothing_is_an_error(tmp_path, base, diagnosis):
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    with pytest.raises(RecipeError, match=r"threshold=2 selects no layer"):
        written(diagnosis, base, donor, "threshold=2")


def test_the_command_writes_the_file_and_never_over_another(tmp_path, base, diagnosis):
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    out = tmp_path / "recipe.yml"
    arguments = [
        "--diagnosis",
        diagnosis,
        "--base",
        base,
        "--donor",
        donor,
        "--select",
        "elbow",
        "--out",
        out,
    ]
    result = CliRunner().invoke(command, [str(word) for word in arguments], catch_exceptions=False)
    assert result.output == f"{out}: layers 1, 3 of 4, 0 of 2 adjacent\n"
    with pytest.raises(UsageError, match="exists: name another file"):
        CliRunner().invoke(
            command, [str(word) for word in arguments], catch_exceptions=False, standalone_mode=False
        )


def test_a_recipe_that_only_sae_merge_can_run_says_so(tmp_path, base, diagnosis):
    donor = tiny.gemma3_multimodal(tmp_path / "donor", 1)
    text = written(diagnosis, base, donor, "top_k=1").text
    assert "# mergekit-yaml cannot run it: the donor's layout" in text
    plain = written(diagnosis, base, base, "top_k=1").text
    assert "#   mergekit-yaml THIS_FILE out/\n" in plain
    signed = base.rename(base.with_name("base@1"))
    text = written(diagnosis, signed, signed, "top_k=1").text
    assert f"cannot run it: it takes what follows an @ or + in {signed} for a revision" in text
    with pytest.raises(OSError, match="Repo id must be"):
        plain_mergekit(text, tmp_path / "out")


def test_layers_are_chosen_by_corrected_scores_unless_raw_ones_are_asked_for(tmp_path, base, caplog):
    donor = tiny.gemma3_text(tmp_path / "donor", seed=1)
    corrected = {0: 0.05, 1: 0.1, 2: 0.15, 3: 0.7}
    halves = tuple(
        OtherScores(kind="half", name=f"half {nth}", scores=scores)
        for nth, scores in enumerate((corrected, {**corrected, 2: 0.0}), start=1)
    )
    diagnosis = save_diagnosis(tmp_path / "d", base, SCORES, corrected=corrected, others=halves)
    settings = {"diagnosis": diagnosis, "base": base, "donor": donor, "select": "top_k=2"}
    recipe = make_recipe(RecipeSettings.model_validate(settings))
    assert recipe.layers == (2, 3)
    assert "# Overlap with what the rule takes: 0.67 by either half of the documents." in recipe.text
    record = yaml.safe_load(recipe.text)["sae_evidence"]
    assert (record["units"], record["scores"]) == ("corrected", corrected)
    raw = make_recipe(RecipeSettings.model_validate({**settings, "units": "raw"}))
    assert raw.layers == (1, 3)
    assert yaml.safe_load(raw.text)["sae_evidence"]["scores"] == SCORES
    gate = Gate(diagnosis=str(diagnosis), select="top_k=2")
    assert selected_layers(gate) == (2, 3)
    assert "raw scores" not in caplog.text


def test_without_shuffles_layers_are_chosen_by_raw_scores_and_it_is_said(tmp_path, base, diagnosis, caplog):
    recipe = written(diagnosis, base, tiny.gemma3_text(tmp_path / "donor", seed=1), "top_k=2")
    assert recipe.layers == (1, 3)
    assert yaml.safe_load(recipe.text)["sae_evidence"]["units"] == "raw"
    assert "no labels were shuffled, so layers are chosen by raw scores" in caplog.text


def test_settings_of_a_recipe_are_checked_when_it_is_written(tmp_path):
    scene = scenes.build(tmp_path)
    given = ["--diagnosis", scene.diagnosis, "--base", scene.base, "--donor", scene.donor]

    def write(name: str, *words: str) -> Path:
        arguments = map(str, (*given, "--select", "top_k=2", "--out", tmp_path / name, "--method", *words))
        CliRunner().invoke(command, list(arguments), catch_exceptions=False, standalone_mode=False)
        return tmp_path / name

    for words, error, message in (
        (("sae_stethoscope", "--set", "rank=4"), RecipeError, "rank: unknown key"),
        (("sae_stethoscope", "--set", "energy"), UsageError, "expected NAME=VALUE"),
        (("sae_scalpel", "--set", "mode=slice"), RecipeError, "mode: .*'project'"),
        (("sae_scalpel", "--set", "rank=17"), RecipeError, "rank: 17 is more than"),
    ):
        with pytest.raises(error, match=message):
            write("bad.yml", *words)
        assert not (tmp_path / "bad.yml").exists()
    listed = write("listed.yml", "sae_scalpel", "--set", "features=1: 0, 2; 3: 4")
    assert written_parameters(parse_recipe(listed.read_text(), "listed"))["features"] == "1: 0, 2; 3: 4"
