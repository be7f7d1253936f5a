"""Evaluations as lm_eval writes them: its own layout, keys and standard errors, at chosen counts."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

NUM_THEORY = "minerva_math_sae_num_theory"
ALGEBRA = "minerva_math_sae_algebra"
DATE = "2026-11-22T17-06-35.578251"

Write = Callable[..., Path]
Counts = dict[str, tuple[int, int]]
"""Problems right, and problems, by task."""
BASE: Counts = {ALGEBRA: (500, 1187), NUM_THEORY: (160, 540)}
BETTER: Counts = {ALGEBRA: (500, 1187), NUM_THEORY: (213, 540)}
WORSE: Counts = {ALGEBRA: (400, 1187), NUM_THEORY: (160, 540)}
MIXED: Counts = {ALGEBRA: (400, 1187), NUM_THEORY: (213, 540)}
# p 0.04: significant alone, not among two.
BARELY: Counts = {ALGEBRA: (500, 1187), NUM_THEORY: (191, 540)}


def standard_error(right: int, n: int) -> float | str:
    """lm-eval's: sample standard deviation over sqrt(n), and the string N/A for one problem."""
    share = right / n
    return math.sqrt(share * (1 - share) / (n - 1)) if n > 1 else "N/A"


def results(tasks: Mapping[str, tuple[int, int]], **changes: Any) -> dict[str, Any]:
    """A results file of lm-eval 0.4.13: ``tasks`` maps a name to (right, problems)."""
    file: dict[str, Any] = {
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
    return {**file, **changes}


def grouped(tasks: Mapping[str, tuple[int, int]], **changes: Any) -> dict[str, Any]:
    """The same, with lm-eval's group "math" over all tasks."""
    right, n = (sum(pair[i] for pair in tasks.values()) for i in (0, 1))
    row = {"exact_match,none": right / n, "exact_match_stderr,none": standard_error(right, n)}
    return results(tasks, groups={"math": row}, group_subtasks={"math": list(tasks)}, **changes)


def scored(metric: str, tasks: Mapping[str, float], higher_is_better: bool = True) -> dict[str, Any]:
    """A results file of another metric: ``tasks`` maps a name to its score, with standard error 0.01."""
    return {
        "results": {
            name: {"sample_len": 100, f"{metric},none": score, f"{metric}_stderr,none": 0.01}
            for name, score in tasks.items()
        },
        "higher_is_better": {name: {metric: higher_is_better} for name in tasks},
        "model_name": "a/model",
    }


def answers(scores: Sequence[float], **changes: Any) -> list[dict[str, Any]]:
    """Lines of a samples file, one a score; ``changes`` go into every line."""
    return [
        {
            "doc_id": i,
            "doc": {"problem": f"What is {i} + {i}?"},
            "target": str(2 * i),
            "arguments": {"gen_args_0": {"arg_0": "prompt", "arg_1": {}}},
            "resps": [[f"It is {2 * i if score else 'not known to me'}."]],
            "filtered_resps": [str(2 * i) if score else "[invalid]"],
            "filter": "none",
            "doc_hash": f"doc {i}",
            "prompt_hash": f"prompt {i}",
            "target_hash": f"target {i}",
            "exact_match": score,
            **changes,
        }
        for i, score in enumerate(scores)
    ]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a run under a name of its own, as ``lm_eval --output_path`` would; gives that folder."""

    def _write(
        name: str,
        file: Mapping[str, Any],
        date: str = DATE,
        samples: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    ) -> Path:
        folder = tmp_path / name / "a__model"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"results_{date}.json").write_text(json.dumps(file))
        for task, rows in (samples or {}).items():
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"samples_{task}_{date}.jsonl").write_text(text)
        return folder.parent

    return _write


@pytest.fixture
def write_scores(write: Write) -> Callable[..., Path]:
    """Writes a run of one task from its per-problem scores, samples and all."""

    def _write(name: str, scores: Sequence[int], task: str = NUM_THEORY, **changes: Any) -> Path:
        file = results({task: (sum(scores), len(scores))}, **changes)
        return write(name, file, samples={task: answers(scores)})

    return _write
