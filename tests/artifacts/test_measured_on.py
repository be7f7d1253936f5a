"""An evaluation carries the hash of the checkpoint it was of, where a folder's edit report can tell it."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.artifacts.lm_eval_results import EvalRun, read_results
from sae_merge_method.artifacts.measured_on import measured_on
from sae_merge_method.compare.run import compare
from tests import tiny
from tests.evaluations import BASE, BETTER, Write, results
from tests.merged import Merged
from tests.verify.conftest import rewrite


@pytest.fixture
def evaluated(write: Write) -> Any:
    def run(name: str = "edited", after: float = 60.0, **arguments: Any) -> EvalRun:
        config = {"model": "hf", "model_args": arguments}
        path = write(name, results(BETTER, config=config, date=time.time() + after))
        return read_results(path)

    return run


def test_the_folder_that_was_loaded_says_its_result(evaluated, merged):
    own = read_edit_report(merged.out).result_sha256
    assert measured_on(evaluated(pretrained=str(merged.out), dtype="float32")) == own


def test_a_relative_folder_is_looked_for_where_we_are(evaluated, merged, monkeypatch):
    own = read_edit_report(merged.out).result_sha256
    monkeypatch.chdir(merged.out.parent)
    assert own is not None and measured_on(evaluated(pretrained=merged.out.name)) == own


def test_a_report_that_was_written_later_may_be_of_another_result(evaluated, merged):
    assert measured_on(evaluated(pretrained=str(merged.out), after=-1e9)) is None


@pytest.mark.parametrize("beside", ["peft", "gguf_file", "subfolder", "delta"])
def test_what_else_was_loaded_with_it_makes_it_another_model(evaluated, merged, beside):
    assert measured_on(evaluated(pretrained=str(merged.out), **{beside: "x"})) is None


def test_models_of_the_hub_and_folders_without_a_report_have_no_hash(evaluated, merged, tmp_path):
    assert measured_on(evaluated(pretrained="someone/model")) is None
    assert measured_on(evaluated(pretrained=str(merged.base))) is None
    shutil.copytree(merged.out, tmp_path / "old")
    report = tmp_path / "old" / "edit_report.json"
    written = json.loads(report.read_text())
    report.write_text(json.dumps(written | {"schema_version": 1}))
    os.utime(report, (0, 0))
    assert measured_on(evaluated(pretrained=str(tmp_path / "old"))) is None


@pytest.mark.parametrize("saved", ["in another dtype", "without a tensor", "in another shape"])
def test_a_report_of_other_tensors_than_lie_beside_it_says_nothing(
    evaluated, merged, tmp_path, saved, caplog
):
    def change(tensors: tiny.Tensors) -> None:
        name = "model.norm.weight"
        kept = tensors.pop(name)
        if saved != "without a tensor":
            tensors[name] = kept.bfloat16() if "dtype" in saved else kept[:-1].clone()

    out = rewrite(merged.copy(tmp_path / "out"), change)
    assert measured_on(evaluated(pretrained=str(out))) is None
    assert f"{out / 'edit_report.json'} lists other tensors than lie beside it" in caplog.text
    (out / "model.safetensors").unlink()  # nothing to hold it against
    assert measured_on(evaluated(pretrained=str(out))) == read_edit_report(merged.out).result_sha256


def test_a_comparison_carries_the_hash_of_either_side(write: Write, merged: Merged, tmp_path: Path) -> None:
    config = {"model": "hf", "model_args": {"pretrained": str(merged.out)}}
    base = write("base", results(BASE, config={"model": "hf", "model_args": {"pretrained": "someone/base"}}))
    edited = write("edited", results(BETTER, config=config, date=time.time() + 60))
    made = compare(base, edited)
    assert made.edited.result_sha256 == read_edit_report(merged.out).result_sha256
    assert made.base.result_sha256 is None
