"""Logs of inspect_ai are compared as results of lm-eval are: paired, and held to what they were run under."""

import json
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.errors import ArtifactError, ComparisonError
from tests.compare.conftest import compared
from tests.evaluations import NUM_THEORY, results
from tests.inspect_logs import TASK, log, sample, save

BEFORE = ["C"] * 5 + ["I"] * 25
AFTER = ["C"] * 4 + ["I"] + ["C"] * 16 + ["I"] * 9


def both(
    folder: Path, edited: dict[str, Any] | None = None, base: dict[str, Any] | None = None
) -> tuple[Path, Path]:
    """Folders of the two logs, one of them as JSON."""
    save(folder / "base", log(BEFORE, **(base or {})))
    save(folder / "edited", log(AFTER, **{"model": "hf/a/edited", **(edited or {})}), form=".json")
    return folder / "base", folder / "edited"


def test_accuracy_is_compared_over_the_same_samples(tmp_path: Path) -> None:
    comparison = compared(*both(tmp_path))
    (subject,) = comparison.subjects
    assert comparison.metric == "accuracy,match"
    assert (comparison.base.model, comparison.edited.model) == ("a/model", "a/edited")
    assert (subject.task, subject.n, subject.verdict) == (TASK, 30, "improved")
    assert (subject.base, subject.edited) == (5 / 30, 20 / 30)
    assert subject.paired is not None
    assert (subject.paired.newly_right, subject.paired.newly_wrong) == (16, 1)
    assert (comparison.mismatches, comparison.marks) == ((), ())


DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "backend": ({"model": "vllm/a/edited"}, "backend: hf and vllm"),
    "model_args": ({"eval": {"model_args": {"torch_dtype": "float16"}}}, "model_args torch_dtype: none and float16"),
    "unknown": ({"eval": {"model_args": {"brand_new": 1}}}, "model_args brand_new: none and 1"),
    "temperature": ({"plan": {"config": {"temperature": 1.0}}}, f"{TASK}: generate temperature: 0.0 and 1.0"),
    "max_tokens": ({"eval": {"model_generate_config": {"max_tokens": 9}}}, f"{TASK}: generate max_tokens: none and 9"),
    "unknown setting": ({"eval": {"model_generate_config": {"brand_new": 9}}}, f"{TASK}: generate brand_new: none and 9"),
    "solver": ({"plan": {"steps": [{"solver": "chain_of_thought", "params": {}}]}}, f"{TASK}: solver: "),
    "task": ({"eval": {"task_args": {"level": 5}}}, f"{TASK}: task_args: "),
    "version": ({"eval": {"task_version": 2}}, f"{TASK}: task version: 0 and 2"),
    "data": ({"eval": {"dataset": {"name": "me/other"}}}, f"{TASK}: data set: me/sums and me/other"),
    "grader": ({"eval": {"model_roles": {"grader": {"model": "x"}}}}, f"{TASK}: model_roles: "),
    "scorer": ({"eval": {"scorers": [{"name": "match", "options": {"ignore": 1}}]}}, f"{TASK}: scorers: "),
    "reducer": ({"eval": {"config": {"epochs_reducer": ["max"]}}}, f"{TASK}: epochs_reducer: "),
    "limits": ({"eval": {"config": {"token_limit": 100}}}, f"{TASK}: limits: "),
    "prompt": ({"samples": [sample(n, v, input="?") for n, v in enumerate(AFTER)]}, "30 problems have another prompt"),
    "samples": ({"samples": [sample(n, v) for n, v in enumerate(AFTER[:9])]}, f"{TASK}: sample count: 30 and 9"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_logs_that_differ_in_more_than_the_model_are_refused_by_name(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ComparisonError) as refused:
        compared(*both(tmp_path, change))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eval": {"packages": {"inspect_ai": "0.4"}}}, "version of inspect_ai: 0.3.100 and 0.4"),
        ({"eval": {"model_generate_config": {"seed": 3}}}, "generate seed: none and 3"),
        ({"eval": {"config": {"epochs": 2}}}, "epochs: 1 and 2"),
    ],
)
def test_what_may_move_a_score_is_marked(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert [message in line for line in compared(*both(tmp_path, change)).marks] == [True]


def test_retries_and_connections_are_no_difference(tmp_path: Path) -> None:
    change = {"eval": {"model_generate_config": {"max_retries": 3, "max_connections": 5}}}
    comparison = compared(*both(tmp_path, change))
    assert (comparison.mismatches, comparison.marks) == ((), ())


def test_a_folder_of_logs_is_one_evaluation_and_the_newest_of_a_task_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base, edited = both(tmp_path)
    for folder, values in ((base, BEFORE), (edited, AFTER)):
        save(folder, log(values, task="other", model=f"hf/a/{folder.name}"))
    save(
        base,
        log(["C"] * 30, eval={"created": "2025-01-01T00:00:00+00:00", "model": "hf/a/model"}),
        stamp="2025-01-01T00-00-00+00-00",
    )
    with pytest.raises(ArtifactError, match="logs of several models, name one: hf/a/base, hf/a/model"):
        compared(base, edited)
    save(base, log(BEFORE, task="other"))
    comparison = compared(base, edited)
    assert [subject.task for subject in comparison.subjects] == [TASK, "other"]
    assert comparison.subjects[0].base == 5 / 30
    assert "holds 3 logs: taking the newest" in caplog.text


def test_a_newest_log_that_failed_is_not_passed_over(tmp_path: Path) -> None:
    base, edited = both(tmp_path)
    later = log(AFTER, model="hf/a/edited", status="error", error={"message": "no"}, eval={"created": "2027"})
    save(edited, later, stamp="2027-01-01T00-00-00+00-00")
    with pytest.raises(ArtifactError, match="ended with an error"):
        compared(base, edited)


def test_results_of_lm_eval_and_logs_are_not_mixed(tmp_path: Path) -> None:
    base, edited = both(tmp_path)
    (base / "results_1.json").write_text(json.dumps(results({NUM_THEORY: (1, 2)})))
    with pytest.raises(ArtifactError, match="results of lm-eval and logs of inspect_ai"):
        compared(base, edited)


def test_samples_that_were_not_scored_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = [sample(n, v) for n, v in enumerate(AFTER)]
    samples[3] |= {"scores": {}, "error": {"message": "timeout"}}
    paths = both(tmp_path, {"samples": samples, "results": None})
    with pytest.raises(ComparisonError, match="sample count: 30 and 29"):
        compared(*paths)
    assert "1 of 30 samples have no score, 1 of them because of an error" in caplog.text


def test_epochs_are_one_score_a_problem(tmp_path: Path) -> None:
    def twice(values: list[str]) -> dict[str, Any]:
        samples = [sample(n, v, epoch) for n, v in enumerate(values) for epoch in (1, 2)]
        for one in samples[:6:2]:
            one["scores"]["match"]["value"] = "I"
        return {
            "samples": samples,
            "results": None,
            "eval": {"config": {"epochs": 2, "epochs_reducer": ["mean"]}},
        }

    comparison = compared(*both(tmp_path, twice(AFTER), twice(BEFORE)))
    (subject,) = comparison.subjects
    assert (subject.n, subject.base) == (30, (5 - 1.5) / 30)
    assert subject.paired is not None and subject.paired.n == 30
