"""Tasks: the real lm-eval finds them, asks the prompt as it stands, and matches answers exactly."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.artifacts.strict_yaml import load_yaml
from trials.abilities import ABILITIES, problems
from trials.settings import TrialSettings
from trials.tasks import make_tasks, task_name

SETTINGS = TrialSettings(task_problems=6)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trial") / "tasks"
    make_tasks(SETTINGS, folder)
    return folder


def evaluate(model: Any, tasks: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    import datasets
    import lm_eval
    from lm_eval.tasks import TaskManager

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tasks.parent / "cache"))
    return lm_eval.simple_evaluate(
        model=model,
        tasks=[task_name(name) for name in ABILITIES],
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )


def test_lm_eval_asks_the_prompt_whole_and_counts_exact_answers_alone(tasks, monkeypatch):
    from lm_eval.api.model import LM

    known = {one.prompt: one for row in ABILITIES.values() for one in problems(row, "task", 6)}
    ways = [lambda a: f" {a}", lambda a: f" {a} ", lambda a: f" {a}0", lambda a: "", lambda a: f" ({a})"]

    asked: list[str] = []

    class Answers(LM):
        """Says the answer, in six ways of which the first two and the last are exact."""

        def generate_until(self, requests: Any) -> list[str]:
            said = []
            for request in requests:
                prompt, generation = request.args
                assert generation["until"] == ["\n"]
                assert not generation["do_sample"]
                asked.append(prompt)
                way = [*ways, lambda a: a][request.doc_id]
                said.append(way(known[prompt].answer))
            return said

        loglikelihood = loglikelihood_rolling = None

    found = evaluate(Answers(), tasks, monkeypatch)
    assert sorted(asked) == sorted(known)
    for name in ABILITIES:
        assert found["results"][task_name(name)]["exact_match,none"] == 3 / 6
        assert found["configs"][task_name(name)]["num_fewshot"] == 0


def test_the_problems_are_the_task_split_in_their_order(tasks):
    for name, ability in ABILITIES.items():
        config = load_yaml((tasks / f"trial_{name}.yaml").read_text())
        rows = Path(config["dataset_kwargs"]["data_files"]["test"]).read_text().splitlines()
        assert [json.loads(row)["prompt"] for row in rows] == [
            one.prompt for one in problems(ability, "task", 6)
        ]


def test_tasks_that_stand_are_left_with_what_was_added_to_them(tasks, tmp_path):
    standing = shutil.copytree(tasks, tmp_path / "tasks")
    (standing / "beside.yaml").write_text("task: beside\n")
    before = _bytes(standing)
    make_tasks(SETTINGS, standing)
    assert _bytes(standing) == before
    # Written anew, their problems would lie where the copy is.
    make_tasks(SETTINGS, tmp_path / "new")
    name = f"{task_name(next(iter(ABILITIES)))}.yaml"
    assert _bytes(tmp_path / "new")[Path(name)] != before[Path(name)]


def _bytes(folder: Path) -> dict[Path, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder): file.read_bytes() for file in files}
