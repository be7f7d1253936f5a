"""Runs on different data sets are refused by name; where a file names none, that is said."""

import json
from typing import Any

import pytest

from sae_merge_method.artifacts.lm_eval_results import DataSet, read_results
from sae_merge_method.errors import ComparisonError

from .conftest import ALGEBRA, NUM_THEORY, Write, results
from .test_command import compare

COUNTS = {ALGEBRA: (500, 1187), NUM_THEORY: (160, 540)}
HUB = {"dataset_path": "EleutherAI/hendrycks_math", "dataset_name": "algebra", "test_split": "test"}


def on(data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Results whose algebra names its data set, and whose other task has the usual one."""
    usual = {"generation_kwargs": {}, **HUB}
    return results(COUNTS, configs={ALGEBRA: {"generation_kwargs": {}, **data}, NUM_THEORY: usual}, **changes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dataset_path": "./my_maths"}, "and ./my_maths, algebra, split test"),
        ({"dataset_name": "geometry"}, "and EleutherAI/hendrycks_math, geometry, split test"),
        ({"dataset_name": None}, "and EleutherAI/hendrycks_math, split test"),
        ({"test_split": "train"}, "and EleutherAI/hendrycks_math, algebra, split train"),
        ({"dataset_kwargs": {"revision": "abc"}}, "algebra, split test, revision abc"),
        ({"dataset_kwargs": {"data_files": {"test": "t.jsonl"}}}, "data_files {'test': 't.jsonl'}"),
    ],
)
def test_another_data_set_is_refused_or_allowed_and_marked(
    write: Write, change: dict[str, Any], said: str
) -> None:
    base, edited = (str(write(name, on(data))) for name, data in (("a", HUB), ("b", {**HUB, **change})))
    with pytest.raises(ComparisonError, match=f"{ALGEBRA}: data set: ") as refused:
        compare(base, edited)
    assert said in str(refused.value)
    assert f"{NUM_THEORY}: data set" not in str(refused.value)
    output = compare(base, edited, "--allow-mismatch").output
    assert "MISMATCH, allowed" in output and said in output


def test_the_same_data_set_written_in_another_way_is_no_difference(write: Write) -> None:
    loader = {**HUB, "dataset_kwargs": {"trust_remote_code": True}, "training_split": "train"}
    output = compare(str(write("base", on(HUB))), str(write("edited", on(loader)))).output
    assert "data set" not in output.lower()


@pytest.mark.parametrize("hashed", [False, True])
def test_a_file_that_names_none_is_compared_and_that_is_said_unless_the_problems_were(
    write: Write, hashed: bool
) -> None:
    hashes = {} if hashed else {"task_hashes": {}}
    output = compare(str(write("base", on(HUB, **hashes))), str(write("old", on({}, **hashes)))).output
    assert ("Data sets were not compared" in output) is not hashed


def test_the_split_that_is_asked_is_the_validation_split_where_there_is_no_test_split(write: Write) -> None:
    data = {"dataset_path": "a/b", "validation_split": "dev", "training_split": "train"}
    run = read_results(write("base", on(data)))
    assert run.tasks[ALGEBRA].dataset == DataSet(path="a/b", name=None, split="dev", arguments={})
    assert str(run.tasks[NUM_THEORY].dataset) == "EleutherAI/hendrycks_math, algebra, split test"


def test_the_verdict_records_the_data_set_of_each_subject(write: Write) -> None:
    pinned = {**HUB, "dataset_kwargs": {"revision": "abc"}}
    paths = [str(write(name, on(pinned))) for name in ("base", "edited")]
    rows = json.loads(compare(*paths, "--format", "json").output)["subjects"]
    assert [row["dataset"] for row in rows] == [
        {"path": HUB["dataset_path"], "name": "algebra", "split": "test", "arguments": arguments}
        for arguments in ({"revision": "abc"}, {})
    ]
