"""``sae-merge recipes``: what is ready-made beside the merge recipes."""

import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.recipes import command
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.recipes import ReadyRecipe, ready_configurations

SIZES = ("12b", "1b", "270m", "4b")


def of(kind: str) -> list[ReadyRecipe]:
    return [one for one in ready_configurations() if one.name.startswith(f"{kind}/")]


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
    texts = {one.name: one.text for one in ready_configurations()}
    for kind in ("diagnose", "experiment"):
        (tmp_path / kind).write_text(texts[f"{kind}/gemma-3-4b-it"])
    made = read_settings(ExperimentSettings, {}, tmp_path / "experiment").to_diagnose()
    assert made == read_settings(DiagnoseSettings, {}, tmp_path / "diagnose")
