"""A problem's score is inspect_ai's: letters as numbers, epochs reduced as the log says."""

import math
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.artifacts.inspect_log import read_log
from sae_merge_method.artifacts.inspect_scores import ReducedScore, as_number, reduced_scores
from sae_merge_method.errors import ArtifactError
from tests.inspect_logs import log, sample, save


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), (True, 1.0), (False, 0.0), (3, 3.0), (0.25, 0.25),
        ("yes", 1.0), ("True", 1.0), ("no", 0.0), ("0.75", 0.75), ("maybe", None), (None, None),
        (math.nan, None), ("nan", None), ([1], None), ({"a": 1}, None),
    ],
)  # fmt: skip
def test_values_are_numbers_as_inspect_has_them(value: Any, number: float | None) -> None:
    assert as_number(value) == number


def scores(folder: Path, **changes: Any) -> tuple[ReducedScore, ...]:
    return reduced_scores(read_log(save(folder, log(["C", "I", "C", "P"]) | changes)))


def test_a_scorer_is_a_metric_whose_value_and_error_are_of_all_problems(tmp_path: Path) -> None:
    results = {"scores": [{"name": "match", "scorer": "match", "metrics": {"accuracy": {"value": 0.625}}}]}
    (score,) = scores(tmp_path, results=results)
    assert score.key == "accuracy,match"
    assert score.values == {"0": 1.0, "1": 0.0, "2": 1.0, "3": 0.5}
    assert score.value == 0.625
    assert score.stderr == pytest.approx(0.4787 / 2, abs=1e-4)


def test_the_logs_own_standard_error_is_taken(tmp_path: Path) -> None:
    metrics = {"accuracy": {"value": 0.625}, "stderr": {"value": 0.3}}
    (score,) = scores(
        tmp_path, results={"scores": [{"name": "match", "scorer": "match", "metrics": metrics}]}
    )
    assert score.stderr == 0.3


def epochs(*values: Any, reducer: str = "mean", **changes: Any) -> dict[str, Any]:
    """One problem answered several times, and another one."""
    samples = [sample(0, value, epoch) for epoch, value in enumerate(values, 1)]
    samples += [sample(1, "I", epoch) for epoch in range(1, len(values) + 1)]
    made = log(["C"], eval={"config": {"epochs": len(values), "epochs_reducer": [reducer]}})
    return {**made, "samples": samples, "results": None, **changes}


@pytest.mark.parametrize(
    ("reducer", "value"),
    [
        ("mean", 0.5), ("median", 0.5), ("max", 1.0), ("mode", 1.0), ("at_least_2", 1.0), ("at_least_3", 0.0),
        ("pass_at_1", 0.5), ("pass_at_2", 1 - 1 / 6), ("pass_at_3", 1.0),
    ],
)  # fmt: skip
def test_epochs_are_reduced_as_the_log_says(tmp_path: Path, reducer: str, value: float) -> None:
    (score,) = scores(tmp_path, **epochs("C", "I", "C", "I", reducer=reducer))
    assert score.values == {"0": pytest.approx(value), "1": 0.0}


def test_reductions_in_the_log_count_before_our_own(tmp_path: Path) -> None:
    reductions = [
        {
            "scorer": "match",
            "reducer": "weighted",
            "samples": [{"sample_id": 0, "value": 0.9}, {"sample_id": 1, "value": 0}],
        }
    ]
    (score,) = scores(tmp_path, **epochs("C", "I", reducer="weighted", reductions=reductions))
    assert score.values == {"0": 0.9, "1": 0.0}


def test_a_reducer_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="epochs are reduced by weighted"):
        scores(tmp_path, **epochs("C", "I", reducer="weighted"))


def test_each_part_of_a_score_and_each_reducer_is_a_metric(tmp_path: Path) -> None:
    entries = [
        {"name": "form", "scorer": "graded", "metrics": {"mean": {"value": 0.5}}},
        {"name": "sense", "scorer": "graded", "metrics": {"mean": {"value": 1.0}}},
    ]
    samples = [
        sample(number, "C", scores={"graded": {"value": {"form": number, "sense": "C"}}}) for number in (0, 1)
    ]
    form, sense = scores(tmp_path / "parts", results={"scores": entries}, samples=samples)
    assert (form.key, form.values) == ("mean,graded form", {"0": 0.0, "1": 1.0})
    assert (sense.key, sense.values) == ("mean,graded sense", {"0": 1.0, "1": 1.0})
    entries = [
        {"name": "match", "scorer": "match", "reducer": name, "metrics": {}} for name in ("mean", "max")
    ]
    twice = scores(tmp_path / "reducers", **epochs("C", "I", results={"scores": entries}))
    assert [(score.key, score.values["0"]) for score in twice] == [
        ("accuracy mean,match", 0.5),
        ("accuracy max,match", 1.0),
    ]


def test_a_sample_without_a_score_is_left_out(tmp_path: Path) -> None:
    samples = [sample(0, "C"), sample(1, "C", scores={}, error={"message": "timeout"}), sample(2, None)]
    (score,) = scores(tmp_path, samples=samples)
    assert score.values == {"0": 1.0}
    assert score.stderr is None
