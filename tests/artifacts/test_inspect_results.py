"""Logs of inspect_ai as an evaluation: which logs a path names, and what is read of them."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.artifacts.inspect_results import HARNESS, find_logs, read_logs
from sae_merge_method.errors import ArtifactError
from tests.inspect_logs import log, sample, save


def test_a_log_names_itself_and_a_folder_all_its_logs_and_no_other_file(tmp_path: Path) -> None:
    one = save(tmp_path / "logs", log([1]))
    other = save(tmp_path / "logs" / "more", log([1], task="products"), form=".json")
    (tmp_path / "logs" / "notes.json").write_text('{"model": "a"}')
    assert find_logs(one) == (one,)
    assert find_logs(tmp_path / "logs") == tuple(sorted((one, other)))
    assert find_logs(tmp_path / "logs" / "notes.json") == ()


def test_beside_results_of_lm_eval_one_of_both_has_to_be_named(tmp_path: Path) -> None:
    save(tmp_path, log([1]))
    (tmp_path / "results_2026.json").write_text("{}")
    with pytest.raises(ArtifactError, match="results of lm-eval and logs of inspect_ai: name one"):
        find_logs(tmp_path)


def test_a_task_is_its_scores_its_problems_and_its_limits(tmp_path: Path) -> None:
    plan = {"steps": [{"solver": "generate"}], "config": {"max_tokens": 64, "temperature": None}}
    run = read_logs([save(tmp_path, log([1, 0, 1], plan=plan))])
    task = run.tasks["sums"]
    assert (task.n, task.token_limit, task.version) == (3, 64, "0")
    assert task.scores["accuracy,match"].value == pytest.approx(2 / 3)
    assert task.dataset is not None and task.dataset.path == "me/sums"
    assert (run.model, run.usual_metric, run.raw["harness"]) == ("a/model", "accuracy", HARNESS)
    assert run.raw["configs"]["sums"]["generate"] == {"max_tokens": 64}


@pytest.mark.parametrize(
    ("eval", "model"),
    [
        ({}, "a/model"),
        ({"model_args": {"model_path": "./here"}}, "./here"),
        ({"model": "mockllm"}, "mockllm"),
    ],
)
def test_the_model_is_the_folder_that_was_loaded_or_its_name_without_the_provider(
    tmp_path: Path, eval: dict[str, Any], model: str
) -> None:
    assert read_logs([save(tmp_path, log([1], eval=eval))]).model == model


def test_the_newest_log_of_a_task_counts_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = save(tmp_path, log([0, 0]), stamp="2026-01-01T00-00-00+00-00")
    later = log([1, 1], eval={"created": "2026-02-01T00:00:00+00:00"})
    new = save(tmp_path, later, stamp="2026-02-01T00-00-00+00-00")
    with caplog.at_level(logging.WARNING):
        run = read_logs([new, old])
    assert run.tasks["sums"].scores["accuracy,match"].value == 1
    assert f"holds 2 logs: taking the newest, {new.name}" in caplog.text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model": "hf/b/model"}, "several models, name one: hf/a/model, hf/b/model"),
        ({"eval": {"model_args": {"dtype": "float32"}}}, "different model_args"),
    ],
)
def test_logs_of_more_than_one_model_are_no_evaluation(
    tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    paths = [save(tmp_path, log([1])), save(tmp_path, log([1], task="products", **changed))]
    with pytest.raises(ArtifactError, match=words):
        read_logs(paths)


def test_a_row_pairs_by_problem_and_has_an_answer_where_one_epoch_gave_it(tmp_path: Path) -> None:
    run = read_logs([save(tmp_path, log(["C", "I"]))])
    rows = run.raw["samples"]["sums"]
    assert [(row["doc_id"], row["filter"], row["accuracy"]) for row in rows] == [
        ("0", "match", 1.0),
        ("1", "match", 0.0),
    ]
    assert rows[0]["resps"] == [["It is C."]] and rows[0]["filtered_resps"] == ["C"]
    twice = [sample(0, "C", 1), sample(0, "I", 2)]
    again = read_logs([save(tmp_path / "twice", log(["C"], samples=twice))])
    (row,) = again.raw["samples"]["sums"]
    assert row["resps"] == [[None]] and row["accuracy"] == 0.5


def test_samples_without_a_score_are_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = json.loads(json.dumps(log([1, 1, 0])))
    made["samples"][2] |= {"scores": {}, "error": {"message": "boom"}}
    with caplog.at_level(logging.WARNING):
        assert read_logs([save(tmp_path, made)]).tasks["sums"].n == 2
    assert "1 of 3 samples have no score, 1 of them because of an error" in caplog.text
