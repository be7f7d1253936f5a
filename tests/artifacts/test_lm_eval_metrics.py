"""Which way a metric runs, where the results file says it, where its configuration does, and where none does."""

import json
from pathlib import Path
from typing import Any

import lm_eval.api.metrics  # noqa: F401  registers lm-eval's metrics
import pytest
from lm_eval.api.registry import HIGHER_IS_BETTER_REGISTRY, METRIC_REGISTRY

from sae_merge_method.artifacts.lm_eval_metrics import is_higher_better
from sae_merge_method.artifacts.lm_eval_results import read_results

OWN = {"metric": "my_loss", "aggregation": "mean", "higher_is_better": False}


def test_every_metric_of_lm_evals_runs_as_it_registers_it() -> None:
    own = {name for name, made in METRIC_REGISTRY.items() if made.__module__ == "lm_eval.api.metrics"}
    assert {"perplexity", "exact_match"} <= own
    assert [name for name in own if is_higher_better(name, {}, {}) != HIGHER_IS_BETTER_REGISTRY[name]] == []


@pytest.mark.parametrize(
    ("metric", "told", "listed", "is_better"),
    [
        ("my_loss", {}, [OWN], False),
        ("my_loss", {"my_loss": None}, [OWN], False),
        ("my_loss", {"my_loss": True}, [OWN], True),
        ("my_loss", {}, [{"metric": "my_loss"}], True),
        ("acc", {}, [OWN], True),
        ("perplexity", {}, [OWN], False),
        ("perplexity", {}, [{"metric": "perplexity", "higher_is_better": True}], True),
        ("perplexity", {}, None, False),
        ("perplexity", {"acc": True}, ["perplexity"], False),
    ],
)
def test_the_file_says_it_then_its_configuration_then_lm_evals_own_list(
    metric: str, told: dict[str, Any], listed: Any, is_better: bool
) -> None:
    assert is_higher_better(metric, told, {"metric_list": listed}) is is_better


def test_a_perplexity_of_a_version_that_does_not_say_it_is_better_the_lower_it_is(tmp_path: Path) -> None:
    row = {
        "word_perplexity,none": 8.5,
        "word_perplexity_stderr,none": 0.1,
        "my_loss,none": 2.0,
        "acc,none": 0.5,
    }
    file = {"results": {"prose": row}, "configs": {"prose": {"metric_list": [OWN]}}}
    (tmp_path / "results.json").write_text(json.dumps(file))
    scores = read_results(tmp_path).tasks["prose"].scores
    assert {key: score.higher_is_better for key, score in scores.items()} == {
        "word_perplexity,none": False,
        "my_loss,none": False,
        "acc,none": True,
    }
