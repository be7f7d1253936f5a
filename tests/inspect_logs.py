"""Logs as inspect_ai writes them, JSON or ``.eval``: its own layout and keys, at chosen scores."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TASK = "sums"
STAMP = "2026-01-01T00-00-00+00-00"


def sample(number: int, value: Any, epoch: int = 1, **changes: Any) -> dict[str, Any]:
    """One sample in one epoch."""
    return {
        "id": number,
        "epoch": epoch,
        "input": f"What is {number} + {number}?",
        "target": str(2 * number),
        "messages": [{"id": f"m{number}", "role": "user", "content": f"What is {number} + {number}?"}],
        "output": {
            "model": "a/model",
            "choices": [
                {"message": {"role": "assistant", "content": f"It is {value}."}, "stop_reason": "stop"}
            ],
        },
        "scores": {"match": {"value": value, "answer": str(value), "explanation": "It is."}},
        "metadata": {},
        **changes,
    }


def log(
    values: Sequence[Any], *, model: str = "hf/a/model", task: str = TASK, eval: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    """A log of one epoch, a sample a value of the scorer ``match``; ``eval`` changes its specification."""
    samples = [sample(number, value) for number, value in enumerate(values)]
    right = sum(value in ("C", 1) for value in values)
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": "e", "run_id": "r", "created": "2026-01-01T00:00:00+00:00", "task": task, "task_id": "t",
            "task_version": 0, "task_args": {}, "model": model, "model_args": {}, "model_generate_config": {},
            "dataset": {"name": "me/sums", "samples": len(values), "sample_ids": list(range(len(values)))},
            "config": {"epochs": 1, "epochs_reducer": ["mean"]}, "packages": {"inspect_ai": "0.3.100"},
            "scorers": [{"name": "match", "options": {}}], **(eval or {}),
        },
        "plan": {"steps": [{"solver": "generate", "params": {}}], "config": {"temperature": 0.0}},
        "results": {
            "total_samples": len(values), "completed_samples": len(values),
            "scores": [
                {
                    "name": "match", "scorer": "match", "reducer": None, "params": {},
                    "metrics": {"accuracy": {"name": "accuracy", "value": right / max(1, len(values))}},
                }
            ],
        },
        "stats": {"started_at": "2026-01-01T00:00:00+00:00"},
        "samples": samples,
        **changes,
    }  # fmt: skip


def save(folder: Path, made: Mapping[str, Any], *, form: str = ".eval", stamp: str = STAMP) -> Path:
    """Write a log as inspect_ai does, under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stamp}_{made['eval']['task'].replace('/', '-')}_abc{form}"
    if form == ".json":
        path.write_text(json.dumps(made))
        return path
    header = {key: value for key, value in made.items() if key not in ("samples", "reductions")}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "_journal/start.json", json.dumps({key: made[key] for key in ("version", "eval", "plan")})
        )
        for one in made["samples"]:
            archive.writestr(f"samples/{one['id']}_epoch_{one['epoch']}.json", json.dumps(one))
        archive.writestr("summaries.json", "[]")
        if "reductions" in made:
            archive.writestr("reductions.json", json.dumps(made["reductions"]))
        archive.writestr("header.json", json.dumps(header))
    return path
