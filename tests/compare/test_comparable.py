"""Runs that differ in more than the model are refused by name, or marked where they are let through."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.errors import ComparisonError
from tests.compare.conftest import compared
from tests.evaluations import ALGEBRA, BASE, NUM_THEORY, Write, answers, results

TASK: dict[str, tuple[int, int]] = {NUM_THEORY: (160, 540)}
DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "tasks": (results({**TASK, ALGEBRA: (1, 2)}), f"different tasks: .* lacks {ALGEBRA}"),
    "no common task": (results({ALGEBRA: (1, 2)}), "no common task"),
    "versions": (results(TASK, versions={NUM_THEORY: 2.0}), "task version: 1.0 and 2.0"),
    "counts": (results({NUM_THEORY: (160, 541)}), "sample count: 540 and 541"),
    "few-shot": (results(TASK, **{"n-shot": {NUM_THEORY: 0}}), "few-shot examples: 4 and 0"),
    "prompts": (results(TASK, task_hashes={NUM_THEORY: "b" * 64}), "prompts: aaaaaaaaaaaa... and bbbbbb"),
    "chat template": (results(TASK, chat_template_sha="c" * 64), "chat template: none and cccc"),
    "system instruction": (
        results(TASK, system_instruction_sha="d" * 64),
        "system instruction: none and ddd",
    ),
    "generation": (results(TASK, configs={NUM_THEORY: {"generation_kwargs": {}}}), "generation settings"),
}


@pytest.mark.parametrize(("file", "message"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_runs_that_differ_in_more_than_the_model_are_refused(
    write: Write, file: dict[str, Any], message: str
) -> None:
    base, edited = write("base", results(TASK)), write("edited", file)
    with pytest.raises(ComparisonError, match=message):
        compared(base, edited)


def test_few_shot_examples_as_turns_of_a_chat_are_another_prompt(write: Write) -> None:
    chat = {"chat_template_sha": "c" * 64}
    base = write("base", results(TASK, **chat))
    turns = write("turns", results(TASK, **chat, fewshot_as_multiturn=True))
    with pytest.raises(ComparisonError, match="few-shot examples as turns: no and yes"):
        compared(base, turns)


CHAT = {"chat_template_sha": "c" * 64, "system_instruction_sha": "d" * 64, "fewshot_as_multiturn": True}


def dumped(file: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """As ``simple_evaluate`` gives it: nothing of the chat is recorded, which lm-eval's tracker adds."""
    return {key: value for key, value in file.items() if key not in CHAT} | changes


def test_a_chat_that_a_dump_does_not_record_is_seen_in_the_prompts(
    write: Write, write_scores: Callable[..., Path]
) -> None:
    before, after = [1, 0, 0, 1], [1, 1, 0, 1]
    by_command = write_scores("command", before, **CHAT)
    rows = {NUM_THEORY: answers(after)}
    by_function = write("function", dumped(results({NUM_THEORY: (3, 4)}), samples=rows))
    assert compared(by_command, by_function).mismatches == ()
    plain = {NUM_THEORY: [{**row, "prompt_hash": f"plain {row['doc_id']}"} for row in answers(after)]}
    other = write("other", dumped(results({NUM_THEORY: (3, 4)}), samples=plain))
    with pytest.raises(ComparisonError) as refused:
        compared(by_command, other)
    for line in (
        "chat template: cccccccccccc... and not recorded",
        "system instruction: dddddddddddd... and not recorded",
        "few-shot examples as turns: yes and not recorded",
        "4 problems have another prompt on the other side",
    ):
        assert line in str(refused.value)


def test_chat_templates_that_both_record_are_compared_as_they_stand(
    write_scores: Callable[..., Path],
) -> None:
    base = write_scores("base", [1, 0, 0, 1], **CHAT)
    edited = write_scores("edited", [1, 1, 0, 1], **CHAT | {"chat_template_sha": "e" * 64})
    with pytest.raises(ComparisonError, match="chat template: cccccccccccc... and eeeeeeeeeeee..."):
        compared(base, edited)


def test_a_chat_that_is_not_recorded_is_none_where_prompts_are_not_known(write: Write) -> None:
    base, edited = write("base", dumped(results(TASK))), write("edited", results(TASK, **CHAT))
    with pytest.raises(ComparisonError, match="chat template: not recorded and cccccccccccc"):
        compared(base, edited)
    assert compared(base, write("plain", results(TASK))).mismatches == ()


HUB = {"dataset_path": "EleutherAI/hendrycks_math", "dataset_name": "algebra", "test_split": "test"}


def on(data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Results whose algebra names its data set, and whose other task has the usual one."""
    usual = {"generation_kwargs": {}, **HUB}
    return results(BASE, configs={ALGEBRA: {"generation_kwargs": {}, **data}, NUM_THEORY: usual}, **changes)


@pytest.mark.parametrize(
    ("change", "message"),
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
    write: Write, change: dict[str, Any], message: str
) -> None:
    base, edited = (write(name, on(data)) for name, data in (("a", HUB), ("b", {**HUB, **change})))
    with pytest.raises(ComparisonError, match=f"{ALGEBRA}: data set: ") as refused:
        compared(base, edited)
    assert message in str(refused.value)
    assert f"{NUM_THEORY}: data set" not in str(refused.value)
    (mismatch,) = compared(base, edited, allow_mismatch=True).mismatches
    assert message in mismatch


def test_the_same_data_set_written_in_another_way_is_no_difference(write: Write) -> None:
    loader = {**HUB, "dataset_kwargs": {"trust_remote_code": True}, "training_split": "train"}
    comparison = compared(write("base", on(HUB)), write("edited", on(loader)))
    assert not any("data set" in line.lower() for line in (*comparison.mismatches, *comparison.notes))


@pytest.mark.parametrize("hashed", [False, True])
def test_a_file_that_names_none_is_compared_and_that_is_said_unless_the_problems_were(
    write: Write, hashed: bool
) -> None:
    hashes = {} if hashed else {"task_hashes": {}}
    comparison = compared(write("base", on(HUB, **hashes)), write("old", on({}, **hashes)))
    assert any("Data sets were not compared" in note for note in comparison.notes) is not hashed


def test_the_verdict_records_the_data_set_of_each_subject(write: Write) -> None:
    pinned = {**HUB, "dataset_kwargs": {"revision": "abc"}}
    comparison = compared(*(write(name, on(pinned)) for name in ("base", "edited")))
    assert [subject.dataset and subject.dataset.model_dump() for subject in comparison.subjects] == [
        {"path": HUB["dataset_path"], "name": "algebra", "split": "test", "arguments": arguments}
        for arguments in ({"revision": "abc"}, {})
    ]
