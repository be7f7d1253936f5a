"""What an experiment refuses, before anything is run and without touching what stands."""

import re

import pytest
import yaml
from click.testing import CliRunner

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.experiment import command
from sae_merge_method.errors import SaeMergeError, UsageError
from sae_merge_method.experiment.settings import EvaluationSettings, ExperimentSettings, settings_text
from tests.experiment_runs.ground import SETTINGS, stamps, write_settings

WRONG = {
    "unknown key": ({"bases": "x"}, r"bases: unknown key"),
    "missing key": ({"donor": None}, r"donor"),
    "no rule": ({"select": "best"}, r"select: .*best"),
    "level out of range": ({"alpha": 2}, r"alpha"),
    "model of the arm": ({"evaluation": {"model_args": {"pretrained": "x"}}}, r"model_args: pretrained cannot be set"),
    "remote code": ({"evaluation": {"model_args": {"trust_remote_code": True}}}, r"trust_remote_code cannot be set"),
    "batch size": ({"evaluation": {"batch_size": "big"}}, r"batch_size: expected a number above 0, auto or auto:N"),
    "other harness model": ({"evaluation": {"model": "openai"}}, r"evaluation\.model"),
    "diagnosis of another model": ({"diagnosis": {"model": "./other"}}, r"diagnosis\.model: expected the base ./base"),
    "unknown arm": ({"arms": ["scalpels"]}, r"arms: expected stethoscope, .*, got scalpels"),
    "path for a name": ({"arms": [{"../../x": "own.yml"}]}, r"arms: expected a name of .*'\.\./\.\./x'"),
    "a control's name": ({"arms": [{"scalpel": "own.yml"}]}, r"is no control's, got 'scalpel'"),
    "a name twice": ({"arms": [{"a": "x.yml"}, {"a": "y.yml"}]}, r"that stands once .*'a'"),
    "diagnosis incomplete": ({"diagnosis": {"sae": "s"}}, r"diagnosis\.(target|control)"),
}  # fmt: skip


@pytest.mark.parametrize("changed, words", WRONG.values(), ids=WRONG.keys())
def test_settings_that_cannot_be_meant_name_the_place(tmp_path, changed, words):
    with pytest.raises(UsageError, match=words):
        read_settings(ExperimentSettings, {}, write_settings(tmp_path, **changed))


@pytest.mark.parametrize("text", ["", "- a\n- b", "a: [", "!!python/object:os.system {}"])
def test_a_file_that_is_no_experiment_is_refused(tmp_path, text):
    (tmp_path / "experiment.yml").write_text(text)
    with pytest.raises(UsageError, match=r"experiment\.yml"):
        read_settings(ExperimentSettings, {}, tmp_path / "experiment.yml")


def test_settings_survive_being_written_down(tmp_path):
    file = write_settings(tmp_path, arms=["scalpel", {"mine": "own.yml"}], single_layers=True)
    found = read_settings(ExperimentSettings, {"random_layers": 2}, file)
    (tmp_path / "again.yml").write_text(settings_text(found))
    assert read_settings(ExperimentSettings, {}, tmp_path / "again.yml") == found


def test_what_is_given_on_the_command_line_wins(tmp_path):
    file = write_settings(tmp_path, random_layers=1)
    assert read_settings(ExperimentSettings, {}, file).random_layers == 1
    assert read_settings(ExperimentSettings, {"random_layers": 7}, file).random_layers == 7


def run(folder, monkeypatch, *words):
    monkeypatch.chdir(folder)
    return CliRunner().invoke(command, [*words[:1], "experiment.yml", "--out", "exp", *words[1:]])


ARMS = {
    "no such recipe": ([{"mine": "nowhere.yml"}], r"nowhere\.yml"),
    "another base": ([{"mine": "own.yml"}], r"own\.yml: expected the experiment's base ./base"),
}


@pytest.mark.parametrize("arms, words", ARMS.values(), ids=ARMS.keys())
def test_arms_that_cannot_be_run_are_refused(fresh, monkeypatch, arms, words):
    (fresh / "own.yml").write_text(
        "merge_method: sae_stethoscope\nbase_model: ./donor\nmodels: [{model: ./base}]\nparameters: {layers: '1'}\n"
    )
    write_settings(fresh, arms=arms, diagnosis=SETTINGS["diagnosis"] | {"permutations": 0, "bootstrap": 0})
    result = run(fresh, monkeypatch, "plan")
    assert isinstance(result.exception, SaeMergeError), result.output
    assert re.search(words, str(result.exception))
    assert not (fresh / "exp" / "plan.json").exists()


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"general_loss": {"corpus": "one.jsonl"}}, "expected two documents or more"),
        ({"general_loss": {"corpus": "nowhere.jsonl"}}, "nowhere.jsonl"),
        ({"base": "./nowhere"}, "nowhere"),
        ({"diagnosis": "nowhere"}, "nowhere"),
    ],
)
def test_a_start_that_fails_leaves_no_folder_behind(fresh, monkeypatch, changed, words):
    (fresh / "one.jsonl").write_text('{"text": "alone"}\n')
    write_settings(fresh, **changed)
    result = run(fresh, monkeypatch, "run")
    assert isinstance(result.exception, SaeMergeError) and words in str(result.exception)
    assert not (fresh / "exp").exists() or not (fresh / "exp" / "arms").exists()


def test_a_folder_of_something_else_is_left_alone(fresh, monkeypatch):
    (fresh / "exp").mkdir()
    (fresh / "exp" / "thesis.tex").write_text("years of work")
    write_settings(fresh)
    for verb in ("run", "plan"):
        result = run(fresh, monkeypatch, verb)
        assert isinstance(result.exception, UsageError) and "thesis.tex" in str(result.exception)
    assert [file.name for file in (fresh / "exp").iterdir()] == ["thesis.tex"]


def test_a_plan_lists_all_arms_and_runs_none(fresh, monkeypatch):
    write_settings(fresh, arms="all", random_layers=1, single_layers=True)
    result = run(fresh, monkeypatch, "plan")
    assert result.exit_code == 0, result.output
    table, _ = result.stdout.split("\n\n", 1) if "\n\n" in result.stdout else (result.stdout, "")
    lines = table.splitlines()[2:]
    listed = [line.split()[0] for line in lines]
    assert listed[:2] == ["base", "stethoscope"] and listed[-4:] == [f"layer-{layer}" for layer in range(4)]
    assert all(line.split()[1:3] == ["to", "do"] for line in lines)
    assert not list((fresh / "exp").rglob("results*"))


@pytest.mark.parametrize("other", ["settings", "text"])
def test_a_diagnosis_of_other_things_is_not_taken_for_the_one_asked_for(fresh, monkeypatch, other):
    write_settings(fresh)
    assert run(fresh, monkeypatch, "plan").exit_code == 0
    before = stamps(fresh / "exp")
    if other == "settings":
        write_settings(fresh, diagnosis=SETTINGS["diagnosis"] | {"score": "js_bits"})
    else:
        (fresh / "target.jsonl").write_text('{"text": "one and one is two"}\n')
    result = run(fresh, monkeypatch, "plan")
    assert isinstance(result.exception, UsageError) and "other settings, texts" in str(result.exception)
    assert stamps(fresh / "exp") == before


@pytest.mark.parametrize(
    "words, said",
    [
        (["--gpus-per-worker", "1"], "belongs to ray"),
        (["--ray", "local", "--gpus", "0"], "with ray it is gpus_per_worker"),
        (["--workers", "3", "--gpus", "0"], "each worker has its own"),
    ],
)
def test_options_that_contradict_each_other_are_usage_errors(fresh, monkeypatch, words, said):
    write_settings(fresh)
    result = run(fresh, monkeypatch, "run", *words)
    assert isinstance(result.exception, UsageError) and said in str(result.exception)


def test_a_missing_vllm_is_named_with_what_installs_it():
    from sae_merge_method.experiment.harness import Harness

    with pytest.raises(UsageError, match=r"evaluation\.model: vllm is not installed: pip install"):
        Harness(EvaluationSettings(model="vllm"), "./base")


def test_two_runs_at_once_in_one_folder_are_refused(fresh, monkeypatch):
    from sae_merge_method.files.folders import held

    write_settings(fresh)
    (fresh / "exp").mkdir()
    with held(fresh / "exp"):
        result = run(fresh, monkeypatch, "plan")
    assert isinstance(result.exception, UsageError) and "another process" in str(result.exception)


def test_the_file_as_shared_holds_only_plain_yaml(tmp_path):
    text = settings_text(read_settings(ExperimentSettings, {}, write_settings(tmp_path)))
    assert yaml.safe_load(text)["evaluation"]["tasks"] == ["minerva_math_sae"]
