"""Finding and reading what lm_eval wrote, in every shape it had."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.artifacts.lm_eval_results import DataSet, find_results, read_results
from sae_merge_method.errors import ArtifactError
from tests.evaluations import ALGEBRA, DATE, NUM_THEORY, Write, results


def test_the_output_folder_the_models_folder_and_the_file_are_the_same_run(write: Write) -> None:
    out = write("base", results({NUM_THEORY: (160, 540)}))
    (file,) = out.rglob("results_*.json")
    assert find_results(out) == find_results(file.parent) == find_results(file) == file


def test_of_several_runs_the_newest_is_taken_and_named(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    for date in ("2026-01-02T00-00-00.5", "2026-01-10T00-00-00", "2026-01-02T00-00-00.25"):
        out = write("base", results({NUM_THEORY: (1, 2)}), date)
    with caplog.at_level(logging.WARNING):
        assert read_results(out).date == "2026-01-10T00-00-00"
    assert "3 runs: taking the newest, results_2026-01-10T00-00-00.json" in caplog.text


def test_results_of_several_models_are_not_chosen_between(tmp_path: Path) -> None:
    for model in ("one", "two"):
        (tmp_path / model).mkdir()
        (tmp_path / model / "results_1.json").write_text("{}")
    with pytest.raises(ArtifactError, match="several folders, name one"):
        find_results(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "JSON"), ("[]", "no lm_eval results"), ("{}", "no lm_eval"), ('{"results": {}}', "no lm_eval")],
)
def test_another_file_is_an_error_that_says_what_was_expected(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ArtifactError, match=message):
        read_results(path)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_an_empty_or_missing_folder_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="expected"):
        read_results(tmp_path / name)


def test_scores_come_with_lm_evals_standard_error_or_without(write: Write) -> None:
    run = read_results(write("base", results({NUM_THEORY: (160, 540), ALGEBRA: (1, 1)})))
    score = run.tasks[NUM_THEORY].scores["exact_match,none"]
    assert (score.value, score.stderr) == (160 / 540, pytest.approx(0.019668156133))
    assert run.tasks[ALGEBRA].scores["exact_match,none"].stderr is None
    assert (run.tasks[NUM_THEORY].n, run.tasks[NUM_THEORY].version, run.date) == (540, "1.0", DATE)


# The places where versions of lm-eval put the same facts.
OLD: dict[str, dict[str, Any]] = {
    "0.4.5: groups among the results, tasks as groups of nothing, no sample_len": {
        "results": {
            "math": {"alias": "math", "exact_match,none": 0.5, "exact_match_stderr,none": 0.1},
            "math_a": {"alias": " - math_a", "exact_match,none": 0.5, "exact_match_stderr,none": 0.1},
        },
        "groups": {"math": {"alias": "math", "exact_match,none": 0.5, "exact_match_stderr,none": 0.1}},
        "group_subtasks": {"math": ["math_a"], "math_a": []},
        "n-samples": {"math_a": {"original": 30, "effective": 20}},
    },
    "0.4.13: the group in groups, counts in the results": {
        "results": {
            "math_a": {
                "name": "math_a",
                "sample_len": 20,
                "exact_match,none": 0.5,
                "exact_match_stderr,none": 0.1,
            },
        },
        "groups": {
            "math": {"name": "math", "exact_match,none": 0.5, "sample_count": {"exact_match,none": 20}}
        },
        "group_subtasks": {"math": ["math_a"]},
        "n-samples": {"math_a": {"original": 30, "effective": 20}},
    },
    "a group that aggregates nothing": {
        "results": {
            "math": {" ": " ", "alias": "math"},
            "math_a": {"sample_len,none": 20, "exact_match,none": 0.5},
        },
        "group_subtasks": {"math": ["math_a"]},
    },
}


@pytest.mark.parametrize("file", OLD.values(), ids=OLD.keys())
def test_groups_are_told_from_tasks_in_every_version(tmp_path: Path, file: dict[str, Any]) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(file))
    run = read_results(path)
    assert list(run.tasks) == ["math_a"]
    assert run.groups["math"].members == ("math_a",)
    assert run.tasks["math_a"].n == 20
    assert list(run.tasks["math_a"].scores) == ["exact_match,none"]


def test_the_split_that_is_asked_is_the_validation_split_where_there_is_no_test_split(write: Write) -> None:
    configs = {
        ALGEBRA: {"dataset_path": "a/b", "validation_split": "dev", "training_split": "train"},
        NUM_THEORY: {"dataset_path": "a/b", "dataset_name": "hard", "dataset_kwargs": {"revision": "abc"}},
    }
    run = read_results(write("base", results({ALGEBRA: (1, 2), NUM_THEORY: (1, 2)}, configs=configs)))
    assert run.tasks[ALGEBRA].dataset == DataSet(path="a/b", name=None, split="dev", arguments={})
    assert str(run.tasks[NUM_THEORY].dataset) == "a/b, hard, revision abc"


@pytest.mark.parametrize(
    ("model", "short"), [("org/name", "name"), ("./out/", "out"), ("name", "name"), ("/", "/")]
)
def test_a_short_name_is_without_owner_or_folder(write: Write, model: str, short: str) -> None:
    assert read_results(write("base", results({ALGEBRA: (1, 2)}, model_name=model))).short_name == short


def test_groups_in_a_circle_end_and_are_told(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    members = {"one": ["two", ALGEBRA], "two": ["one", NUM_THEORY], "itself": ["itself"]}
    run = read_results(write("base", results({ALGEBRA: (1, 2), NUM_THEORY: (1, 2)}, group_subtasks=members)))
    assert set(run.leaves("one")) == set(run.leaves("two")) == {ALGEBRA, NUM_THEORY}
    assert "group_subtasks goes in a circle, one > two > one" in caplog.text


def test_a_task_that_is_a_group_of_itself_is_a_task(write: Write) -> None:
    run = read_results(write("base", results({ALGEBRA: (1, 2)}, group_subtasks={ALGEBRA: [ALGEBRA]})))
    assert (list(run.tasks), list(run.groups)) == ([ALGEBRA], [])
