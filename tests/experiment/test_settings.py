"""An experiment's file: what it refuses, and that it survives being written down."""

import pytest
import yaml

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.controls.kinds import ArmKind
from sae_merge_method.errors import UsageError
from sae_merge_method.experiment.settings import ExperimentSettings, RunSettings, settings_text
from tests.experiment.ground import SETTINGS, write_settings

WRONG = {
    "unknown key": ({"bases": "x"}, r"bases: unknown key"),
    "missing key": ({"donor": None}, r"donor"),
    "no rule": ({"select": "best"}, r"select: .*best"),
    "level out of range": ({"alpha": 2}, r"alpha"),
    "model of the arm": ({"evaluation": {"model_args": {"pretrained": "x"}}}, r"model_args: pretrained cannot be set"),
    "remote code": ({"evaluation": {"model_args": {"trust_remote_code": True}}}, r"trust_remote_code cannot be set"),
    "batch size": ({"evaluation": {"batch_size": "big"}}, r"batch_size: expected a number above 0, auto or auto:N"),
    "other harness model": ({"evaluation": {"model": "openai"}}, r"evaluation\.model: expected one of hf, vllm, got 'openai'"),
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


def test_the_file_as_shared_holds_only_plain_yaml(tmp_path):
    text = settings_text(read_settings(ExperimentSettings, {}, write_settings(tmp_path)))
    assert yaml.safe_load(text)["evaluation"]["tasks"] == SETTINGS["evaluation"]["tasks"]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"gpus_per_worker": 1}, "belongs to ray"),
        ({"ray": "local", "gpus": ("0",)}, "with ray it is gpus_per_worker"),
        ({"workers": 3, "gpus": ("0",)}, "each worker has its own"),
    ],
)
def test_ways_to_run_that_contradict_each_other_are_usage_errors(options, words):
    with pytest.raises(UsageError, match=words):
        read_settings(RunSettings, options)


def asked(tmp_path, arms, **changed):
    return read_settings(ExperimentSettings, {}, write_settings(tmp_path, arms=arms, **changed)).controls()


def test_base_and_pick_are_always_there_and_single_layers_where_asked_for(tmp_path):
    every = [name for name in ARMS if name != "layer"]
    assert asked(tmp_path, "all") == tuple(every)
    assert asked(tmp_path, "all", single_layers=True) == (*every, "layer")
    assert asked(tmp_path, ["scalpel"]) == ("stethoscope", "base", "scalpel")
    assert asked(tmp_path, ["layer"]) == ("stethoscope", "base", "layer")
    assert asked(tmp_path, [], single_layers=True) == ("stethoscope", "base", "layer")


def test_an_arm_that_is_registered_can_be_asked_for_and_its_names_are_taken(tmp_path, monkeypatch):
    row = ArmKind("shifted", "layers", "the exact place", lambda ground: [(0,), (1,)], numbered=True)
    monkeypatch.setitem(ARMS, row.name, row)
    assert asked(tmp_path, ["shifted"]) == ("stethoscope", "base", "shifted")
    assert "shifted" in asked(tmp_path, "all")
    with pytest.raises(UsageError, match="expected stethoscope, .*, shifted, or NAME: FILE, got shiftd"):
        asked(tmp_path, ["shiftd"])
    with pytest.raises(UsageError, match="no control's, got 'shifted-1'"):
        asked(tmp_path, [{"shifted-1": "own.yml"}])
