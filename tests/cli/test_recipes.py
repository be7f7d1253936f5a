"""``sae-merge recipes``: ready-made recipes and settings are listed, copied out, and can be read."""

import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.recipes import command
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.errors import UsageError
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipes import ReadyFile, ready_recipes, ready_settings

SIZES = ("12b", "1b", "270m", "4b")


def of(kind: str) -> list[ReadyFile]:
    return [one for one in ready_settings() if one.name.startswith(f"{kind}/")]


def test_configurations_are_listed_with_what_they_are_for():
    lines = CliRunner().invoke(command, [], catch_exceptions=False).output.splitlines()
    listed = dict(line.split(maxsplit=1) for line in lines if "/" in line.split()[0])
    assert list(listed) == [
        *(f"diagnose/gemma-3-{size}-it" for size in SIZES),
        "experiment/gemma-3-4b-it",
        "experiment/miniature",
    ]
    assert listed["diagnose/gemma-3-4b-it"].startswith("Which layers of Gemma 3 4B IT are specific to")
    assert listed["experiment/gemma-3-4b-it"].startswith("Gemma 3 4B IT and a mathematics donor of yours")


def test_a_configuration_is_copied_out_under_the_name_its_own_comment_uses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for configuration in of("diagnose"):
        result = CliRunner().invoke(command, [configuration.name], catch_exceptions=False)
        copy = tmp_path / result.output.strip()
        assert f"sae-merge diagnose --config {copy.name} --out diagnosis/" in copy.read_text()
        assert read_settings(DiagnoseSettings, {}, copy).model.startswith("google/gemma-3-")


@pytest.mark.parametrize("ready", of("experiment"), ids=lambda one: one.name)
def test_an_experiment_can_be_read_and_says_the_command_that_runs_it(ready, tmp_path):
    file = tmp_path / "experiment.yml"
    file.write_text(ready.text)
    found = read_settings(ExperimentSettings, {}, file)
    assert found.to_diagnose().model == found.base and found.general_loss is not None
    assert "sae-merge experiment run experiment" in ready.text


def test_experiment_and_diagnosis_of_a_model_listen_to_the_same(tmp_path):
    texts = {one.name: one.text for one in ready_settings()}
    for kind in ("diagnose", "experiment"):
        (tmp_path / kind).write_text(texts[f"{kind}/gemma-3-4b-it"])
    made = read_settings(ExperimentSettings, {}, tmp_path / "experiment").to_diagnose()
    assert made == read_settings(DiagnoseSettings, {}, tmp_path / "diagnose")


def test_a_ready_recipe_is_listed_and_copied_out_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listed = CliRunner().invoke(command, []).output
    names = [line.split()[0] for line in listed.splitlines()]
    assert [name for name in names if "/" not in name] == ["name", "gemma-3-4b-it", "miniature"]
    assert CliRunner().invoke(command, ["gemma-3-4b-it"]).output == "gemma-3-4b-it.yml\n"
    assert "merge_method: sae_stethoscope" in (tmp_path / "gemma-3-4b-it.yml").read_text()
    with pytest.raises(UsageError, match=r"gemma-3-4b-it\.yml exists"):
        CliRunner().invoke(command, ["gemma-3-4b-it"], catch_exceptions=False, standalone_mode=False)


def test_every_ready_recipe_is_read_strictly():
    for recipe in ready_recipes():
        gate = parse_recipe(recipe.text, recipe.name).parameters.diagnosis
        assert gate is not None and gate.endswith("diagnosis/diagnosis.json")
