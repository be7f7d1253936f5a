"""Evaluations as lm_eval writes them: its own layout, keys and standard errors, at chosen counts."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

NUM_THEORY = "minerva_math_sae_num_theory"
ALGEBRA = "minerva_math_sae_algebra"
DATE = "2026-11-22T17-06-35.578251"

Write = Callable[..., Path]


def standard_error(right: int, n: int) -> float | str:
    """lm-eval's: sample standard deviation over sqrt(n), and the string N/A for one problem."""
    share = right / n
    return math.sqrt(share * (1 - share) / (n - 1)) if n > 1 else "N/A"


def results(tasks: Mapping[str, tuple[int, int]], **changes: Any) -> dict[str, Any]:
    """A results file of lm-eval 0.4.13: ``tasks`` maps a name to (right, problems)."""
    found: dict[str, Any] = {
        "results": {
            name: {
                "name": name,
                "alias": name,
                "sample_len": n,
                "exact_match,none": right / n,
                "exact_match_stderr,none": standard_error(right, n),
            }
            for name, (right, n) in tasks.items()
        },
        "group_subtasks": {},
        "configs": {name: {"generation_kwargs": {"until": ["Problem:"]}} for name in tasks},
        "versions": dict.fromkeys(tasks, 1.0),
        "n-shot": dict.fromkeys(tasks, 4),
        "higher_is_better": {name: {"exact_match": True} for name in tasks},
        "n-samples": {name: {"original": n, "effective": n} for name, (_, n) in tasks.items()},
        "lm_eval_version": "0.4.13",
        "task_hashes": dict.fromkeys(tasks, "a" * 64),
        "model_name": "a/model",
        "chat_template_sha": None,
        "system_instruction_sha": None,
    }
    return {**found, **changes}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a run under a name of its own, as ``lm_eval --output_path`` would; gives that folder."""

    def _write(name: str, found: Mapping[str, Any], date: str = DATE) -> Path:
        folder = tmp_path / name / "a__model"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"results_{date}.json").write_text(json.dumps(found))
        return folder.parent

    return _write
