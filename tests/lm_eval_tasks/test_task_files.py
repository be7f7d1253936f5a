"""What the YAML says, before anything runs: lm-eval skips a broken file without a word."""

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sae_merge_method.lm_eval_tasks import tasks_path

from .conftest import SUBJECTS, Bench

GROUPS = ("minerva_math_sae", "minerva_math_sae_chat")
REFUSALS = ("refusal_sae_harmful", "refusal_sae_benign")
VERSIONS = {"minerva_math_sae": 1.0, "minerva_math_sae_chat": 1.1, "refusal_sae": 1.1}
# All that may differ from lm-eval's own tasks.
OURS = {"task", "tag", "process_results", "metric_list", "metadata"}


def load(path: Path) -> dict[str, Any]:
    from lm_eval.tasks._yaml_loader import load_yaml

    return load_yaml(path, resolve_func=True)


@pytest.mark.parametrize("path", sorted(tasks_path().rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_loads_with_its_functions_and_has_a_version(path: Path) -> None:
    config = load(path)
    assert config.get("task") == path.stem or config.get("group") == path.stem
    assert config["metadata"]["version"] == VERSIONS[path.parent.name]
    assert not config.get("tag")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_all_but_the_scoring_is_what_lm_eval_says(subject: str) -> None:
    import lm_eval.tasks

    theirs = load(Path(lm_eval.tasks.__path__[0]) / "minerva_math" / f"minerva_math_{subject}.yaml")
    ours = load(tasks_path() / "minerva_math_sae" / f"minerva_math_sae_{subject}.yaml")
    assert {key: _name(theirs[key]) for key in theirs if key not in OURS} == {
        key: _name(ours[key]) for key in ours if key not in OURS
    }
    assert [entry for entry in ours["metric_list"] if entry["metric"] != "answer_found"] == theirs[
        "metric_list"
    ]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_has_lm_evals_seven_subjects_and_weights_them_by_size(
    in_bench: Bench, manager: Any, group: str
) -> None:
    loaded = manager.load([group])
    assert list(loaded["tasks"]) == [f"{group}_{subject}" for subject in SUBJECTS]
    metrics = loaded["groups"][group].aggregate_metric_list
    assert {entry.metric for entry in metrics} == {"exact_match", "math_verify", "answer_found"}
    assert all(entry.weight_by_size for entry in metrics)


def test_lm_evals_own_tasks_groups_and_tags_keep_their_members(manager: Any) -> None:
    import lm_eval.tasks
    from lm_eval.tasks._index import TaskIndex

    stock = TaskIndex.build([Path(lm_eval.tasks.__path__[0]) / "minerva_math"])
    tag = stock["math_word_problems"].tags
    assert len(tag) == 8
    assert tag <= manager.task_index["math_word_problems"].tags
    assert not any("sae" in name for entry in manager.task_index.values() for name in entry.tags)
    assert sorted(name for name in manager.task_index if "minerva_math_sae" in name) == sorted(
        [*GROUPS, *(f"{group}_{subject}" for group in GROUPS for subject in SUBJECTS)]
    )


def test_no_task_of_lm_evals_own_has_a_name_of_ours() -> None:
    # As installed: what this process has loaded may be an lm-eval of few tasks (tests/warm).
    installed = Path(str(importlib.metadata.distribution("lm_eval").locate_file("lm_eval")))
    files = list((installed / "tasks").rglob("*.yaml"))
    assert len(files) > 1000
    assert not [
        file
        for file in files
        if any(name in file.read_bytes() for name in (b"minerva_math_sae", b"refusal_sae"))
    ]


@pytest.mark.parametrize("group", GROUPS)
def test_the_readme_in_the_folder_names_every_task_and_the_version(group: str) -> None:
    readme = (tasks_path() / group / "README.md").read_text()
    assert "### Changelog" in readme
    assert f"- version {VERSIONS[group]}" in readme
    assert all(f"`{group}_{subject}`" in readme for subject in SUBJECTS)


def test_refusals_have_two_halves_that_differ_in_requests_and_scoring_alone() -> None:
    harmful, benign = (load(tasks_path() / "refusal_sae" / f"{name}.yaml") for name in REFUSALS)
    differ = {key for key in harmful if _name(harmful[key]) != _name(benign[key])}
    assert differ == {"task", "dataset_name", "process_results", "metric_list"}
    readme = (tasks_path() / "refusal_sae" / "README.md").read_text()
    assert f"- version {VERSIONS['refusal_sae']}" in readme and all(
        f"`{name}`" in readme for name in REFUSALS
    )


def test_tasks_path_prints_the_folder_that_holds_the_groups() -> None:
    from sae_merge_method.cli.main import road

    printed = CliRunner().invoke(road, ["tasks-path"])
    assert printed.exit_code == 0
    assert sorted(path.name for path in Path(printed.output.strip()).rglob("*.yaml")) == sorted(
        path.name for path in tasks_path().rglob("*.yaml")
    )


def _name(value: Any) -> Any:
    """Functions by module and name: lm-eval loads the same file under more than one object."""
    if callable(value):
        return f"{value.__module__}.{value.__name__}"
    return {key: _name(entry) for key, entry in value.items()} if isinstance(value, dict) else value
