"""What tells an experiment's inputs from others: of a model, and of a recipe of the user's."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.experiment.stamps import changed, model_stamp, recipe_stamps

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
    before = recipe_stamps(GATED, "own.yml")
    change(inputs / file)
    assert changed(before, recipe_stamps(GATED, "own.yml")) == parts


def test_a_recipe_that_decides_its_layers_itself_reads_no_scores(inputs: Path) -> None:
    before = recipe_stamps(DECIDED, "own.yml")
    of_other_text(inputs / "scores" / "diagnosis.json")
    assert recipe_stamps(DECIDED, "own.yml") == before


@pytest.mark.parametrize("gone", ["one/config.json", "lora/adapter_config.json", "scores/diagnosis.json"])
def test_what_a_recipe_reads_and_nobody_finds_is_named(inputs: Path, gone: str) -> None:
    (inputs / gone).unlink()
    with pytest.raises(SaeMergeError, match=gone):
        recipe_stamps(GATED, "own.yml")


def test_a_model_with_an_adapter_is_another_than_without(inputs: Path) -> None:
    assert model_stamp("./two+./lora") != model_stamp("./two")
