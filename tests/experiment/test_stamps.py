"""What tells an experiment's inputs from others: a model, a recipe of the user's, a folder of tasks."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.experiment.stamps import changed, of_recipe, of_recipe_saes, of_saes
from sae_merge_method.files.stamps import folder_stamp
from sae_merge_method.identity.made_from import BESIDE, of_files, of_files_beside

GATED = """\
merge_method: sae_stethoscope
base_model: ./base
models: [{model: ./base}, {model: ./one}, {model: ./two+./lora}]
parameters: {diagnosis: scores, select: top_k=1}
"""
DECIDED = GATED.replace("diagnosis: scores, select: top_k=1", "layers: '1'")


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that GATED names, as the working folder; what is in the files is nobody's concern."""
    for model in ("base", "one", "two", "lora"):
        (tmp_path / model).mkdir()
        config = "adapter_config.json" if model == "lora" else "config.json"
        (tmp_path / model / config).write_text(model)
        (tmp_path / model / "model.safetensors").write_text(model)
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "diagnosis.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of_another_time(file: Path) -> None:
    os.utime(file, (0, 0))


def of_other_text(file: Path) -> None:
    file.write_text("other")


@pytest.mark.parametrize(
    "file, change, parts",
    [
        ("one/model.safetensors", of_another_time, ["recipe's donors"]),
        ("two/config.json", of_other_text, ["recipe's donors"]),
        ("lora/model.safetensors", of_another_time, ["recipe's donors"]),
        ("lora/adapter_config.json", of_other_text, ["recipe's donors"]),
        ("scores/diagnosis.json", of_other_text, ["recipe's scores"]),
        ("base/model.safetensors", of_another_time, []),  # it has its own stamp
    ],
)
def test_a_recipe_is_told_by_its_donors_their_adapters_and_its_scores(
    inputs: Path, file: str, change: Callable[[Path], None], parts: list[str]
) -> None:
    before = of_recipe(GATED, "own.yml")
    change(inputs / file)
    assert changed(before, of_recipe(GATED, "own.yml")) == parts


def test_a_recipe_that_decides_its_layers_itself_reads_no_scores(inputs: Path) -> None:
    before = of_recipe(DECIDED, "own.yml")
    of_other_text(inputs / "scores" / "diagnosis.json")
    assert of_recipe(DECIDED, "own.yml") == before


@pytest.mark.parametrize("gone", ["one/config.json", "lora/adapter_config.json", "scores/diagnosis.json"])
def test_what_a_recipe_reads_and_nobody_finds_is_named(inputs: Path, gone: str) -> None:
    (inputs / gone).unlink()
    with pytest.raises(SaeMergeError, match=gone):
        of_recipe(GATED, "own.yml")


def test_a_model_with_an_adapter_is_another_than_without(inputs: Path) -> None:
    assert of_files("./two+./lora") != of_files("./two")


@pytest.mark.parametrize(
    "file",
    [
        "tokenizer.json",
        "chat_template.jinja",
        "additional_chat_templates/rag.jinja",
        "generation_config.json",
    ],
)
def test_what_decides_what_a_model_says_is_told_beside_its_weights(inputs: Path, file: str) -> None:
    stamps = {of_files_beside("./base")[BESIDE]}
    (inputs / "base" / file).parent.mkdir(exist_ok=True)
    for text in ("{}", "{ }"):
        (inputs / "base" / file).write_text(text)
        stamps.add(of_files_beside("./base")[BESIDE])
        of_another_time(inputs / "base" / file)
        stamps.add(of_files_beside("./base")[BESIDE])
    assert len(stamps) == 3


def test_settings_of_generation_decide_nothing_where_nothing_is_generated(inputs: Path) -> None:
    before = of_files_beside("./base", generates=False)
    (inputs / "base" / "generation_config.json").write_text('{"temperature": 0.6}')
    assert of_files_beside("./base", generates=False) == before
    (inputs / "base" / "tokenizer.json").write_text("{}")
    assert of_files_beside("./base", generates=False) != before


def test_a_card_code_a_processor_and_an_adapter_s_tokenizer_decide_nothing(inputs: Path) -> None:
    before = of_files_beside("./two+./lora")[BESIDE]
    unread = ("README.md", "modeling.py", "preprocessor_config.json", "model.safetensors")
    for file in (*(f"two/{name}" for name in unread), "lora/tokenizer.json"):
        (inputs / file).write_text("other")
    assert of_files_beside("./two+./lora")[BESIDE] == of_files_beside("./two")[BESIDE] == before


SCALPEL = DECIDED.replace("stethoscope", "scalpel").replace(
    "'1'", "'1', features: '3', sae: 'saes/layer_{layer}'"
)


@pytest.fixture
def sae(inputs: Path) -> Path:
    """The one SAE that SCALPEL reads; what is in its files is nobody's concern."""
    folder = inputs / "saes" / "layer_1"
    folder.mkdir(parents=True)
    (folder / "cfg.json").write_text("{}")
    (folder / "sae_weights.safetensors").write_text("weights")
    return folder


def test_a_scalpel_of_one_s_own_is_told_by_the_saes_that_it_reads(sae: Path) -> None:
    before = of_recipe_saes(SCALPEL, "own.yml", (1,))
    for file in sae.iterdir():
        of_another_time(file)
    assert of_recipe_saes(SCALPEL, "own.yml", (1,)) == before == of_saes({"1": sae})
    of_other_text(sae / "sae_weights.safetensors")
    assert changed(before, of_recipe_saes(SCALPEL, "own.yml", (1,))) == ["SAEs"]


def test_saes_that_are_gone_or_that_nobody_told_of_make_nothing_another(sae: Path) -> None:
    before = of_recipe_saes(SCALPEL, "own.yml", (1,))
    (sae / "sae_weights.safetensors").unlink()
    gone = of_recipe_saes(SCALPEL, "own.yml", (1,))
    assert gone == of_recipe_saes(DECIDED, "own.yml", (1,)) == {}
    assert changed(before, gone) == changed(gone, before) == []


def test_saes_are_told_apart_so_that_those_which_are_left_are_still_held_against_others(sae: Path) -> None:
    def now() -> dict[str, str]:
        return of_saes({str(layer): sae.parent / f"layer_{layer}" for layer in range(3)})

    only_one = now()
    shutil.copytree(sae, sae.with_name("layer_0"))
    both = now()
    (sae / "sae_weights.safetensors").unlink()
    assert changed(both, now()) == []
    shutil.rmtree(sae)
    assert changed(both, now()) == []
    of_other_text(sae.with_name("layer_0") / "cfg.json")
    assert changed(both, now()) == ["SAEs"]
    assert changed(only_one, both) == ["SAEs"]  # what was made knows nothing of the new one


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tasks below a hidden one, as the working folder."""
    folder = tmp_path / ".home" / "tasks"
    (folder / "more").mkdir(parents=True)
    (folder / "task.yaml").write_text("task: one")
    (folder / "more" / "code.py").write_text("")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "file", ["exp/arms/base/results/r.json", ".cache/x", "more/.code.py.swp", "more/__pycache__/c.pyc"]
)
@pytest.mark.parametrize("relative", [True, False])
def test_what_an_experiment_and_tools_leave_in_a_folder_of_tasks_is_no_task(
    tasks: Path, file: str, relative: bool
) -> None:
    folder = Path() if relative else tasks
    before = folder_stamp(folder, without=Path("exp"))
    (tasks / file).parent.mkdir(parents=True, exist_ok=True)
    (tasks / file).write_text("made")
    assert folder_stamp(folder, without=Path("exp")) == before


@pytest.mark.parametrize("file", ["task.yaml", "more/code.py", "more/data.jsonl", "exp.yaml"])
def test_what_is_changed_or_new_in_a_folder_of_tasks_makes_it_another(tasks: Path, file: str) -> None:
    before = folder_stamp(tasks, without=Path("exp"))
    (tasks / file).write_text("other")
    assert folder_stamp(tasks, without=Path("exp")) != before
