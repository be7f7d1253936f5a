"""lm-eval inside a worker: what it needs is asked for before anything is loaded, and how long answers may be."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sae_merge_method.errors import UsageError
from sae_merge_method.evaluation.harness import Harness, TaskSize
from sae_merge_method.evaluation.settings import BACKENDS, Backend, EvaluationSettings

TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{text}}}}"
doc_to_target: ""
generation_kwargs: {generation}
metric_list: [{{metric: exact_match}}]
"""


HASHES = ("doc_hash", "prompt_hash", "target_hash")


def test_a_missing_backend_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(BACKENDS, "new", Backend("new", "no_such_package", "lm-eval[new]", takes_device=True))
    words = r"evaluation\.model: no_such_package is not installed: pip install 'lm-eval\[new\]'"
    with pytest.raises(UsageError, match=words):
        Harness(EvaluationSettings(model="new"), "./base")


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """Of a backend that is told a limit as it is loaded, with a task that has none and one that has its own."""
    monkeypatch.setitem(BACKENDS, "vllm", BACKENDS["vllm"]._replace(package="lm_eval"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"text": "once"}) + "\n")
    for name, generation in (("long", '{until: ["."]}'), ("short", '{until: ["."], max_gen_toks: 4}')):
        text = TASK.format(name=name, data=data, generation=generation)
        (tmp_path / f"{name}.yaml").write_text(text)
    settings = EvaluationSettings(
        model="vllm", tasks=("long", "short"), include_path=str(tmp_path), model_args={"max_gen_toks": 2048}
    )
    return Harness(settings, "./base")


def test_answers_are_as_long_as_the_task_says_or_else_as_the_backend_was_told(harness: Harness) -> None:
    assert harness.sizes() == {"long": TaskSize(1, 2048), "short": TaskSize(1, 4)}


def test_answers_are_cut_off_where_they_are_that_long(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a long and a short task: an answer of 300 words is whole in the one, one of 4 cut off in the other."""

    def answered(*_: Any, **__: Any) -> dict[str, Any]:
        tasks = {name: task.dump_config() for name, task in harness.load_tasks().items()}
        plain = {"arguments": [], "filtered_resps": [], "target": "", **dict.fromkeys(HASHES, "")}
        rows = {name: [{"resps": [["w " * n]], **plain}] for name, n in (("long", 300), ("short", 4))}
        return {"results": {}, "config": {}, "configs": tasks, "samples": rows}

    monkeypatch.setattr(harness, "_evaluate", answered)
    lm: Any = SimpleNamespace(tok_encode=lambda text, **_: text.split())
    assert harness.score(lm, "./base", tmp_path / "out") == 1 / 2
