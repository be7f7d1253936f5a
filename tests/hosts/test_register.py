"""The seam itself: what is added to lm-eval's task index and to mergekit's registry, and where it gives up."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lm_eval.tasks import _index
from mergekit.merge_methods import TensorGroup, merge_method, registered_methods, registry

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.hosts import register as hosts
from sae_merge_method.lm_eval_tasks import tasks_path
from sae_merge_method.merge.methods import mergekit_methods

OURS_IN_MERGEKIT = list(mergekit_methods())
OURS = "minerva_math_sae_algebra"
Build = Callable[[Iterable[Path]], dict[str, Any]]


def _task_folder(folder: Path, task: str) -> Path:
    folder.mkdir()
    (folder / "task.yaml").write_text(f"task: {task}\ndataset_path: json\n")
    return folder


@pytest.fixture
def builtin(tmp_path: Path) -> Path:
    """A folder in the place of lm-eval's own, which takes many seconds to index."""
    return _task_folder(tmp_path / "builtin", "a_task_of_lm_eval")


@pytest.fixture
def build(builtin: Path) -> Build:
    stock = getattr(_index.TaskIndex.build, "__wrapped__", _index.TaskIndex.build)
    return hosts._with_folder(stock, tasks_path(), builtin)


def test_our_tasks_are_indexed_beside_the_built_in_ones(build: Build, builtin: Path) -> None:
    index = build(iter([builtin]))
    assert {OURS, "minerva_math_sae", "minerva_math_sae_chat", "a_task_of_lm_eval"} <= index.keys()


def test_the_users_own_folder_still_wins(build: Build, builtin: Path, tmp_path: Path) -> None:
    theirs = _task_folder(tmp_path / "theirs", OURS)
    assert build([builtin, theirs])[OURS].yaml_path == theirs / "task.yaml"


def test_without_the_built_in_folder_ours_stays_out(build: Build, tmp_path: Path) -> None:
    assert build([]) == {}
    theirs = _task_folder(tmp_path / "theirs", "their_task")
    assert build([theirs]).keys() == {"their_task"}


def test_our_folder_given_by_the_user_is_indexed_once(
    build: Build, builtin: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert OURS in build([builtin, tasks_path() / ".." / tasks_path().name])
    assert "overrides" not in caplog.text


def test_the_callers_list_of_folders_is_not_changed(build: Build, builtin: Path) -> None:
    folders = [builtin]
    build(folders)
    assert folders == [builtin]


def test_registering_again_wraps_the_index_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = getattr(_index.TaskIndex.build, "__wrapped__", _index.TaskIndex.build)
    monkeypatch.setattr(_index.TaskIndex, "build", staticmethod(stock))
    hosts.register_tasks()
    once = _index.TaskIndex.build
    hosts.register_tasks()
    assert _index.TaskIndex.build is once
    assert once.__wrapped__ is stock


@pytest.mark.parametrize("change", ["gone", "other arguments"])
def test_another_task_index_is_an_error_that_names_include_path(
    monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    if change == "gone":
        monkeypatch.delattr(_index.TaskIndex, "build")
    else:
        monkeypatch.setattr(_index.TaskIndex, "build", staticmethod(lambda roots, depth: {}))
    with pytest.raises(SaeMergeError, match=r"TaskIndex\.build.*--include_path"):
        hosts.register_tasks()


def test_registering_again_leaves_one_method_of_each_name() -> None:
    hosts.register_merge_methods()
    hosts.register_merge_methods()
    assert [method for method in registered_methods() if method in OURS_IN_MERGEKIT] == OURS_IN_MERGEKIT


def test_a_name_taken_by_somebody_else_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    @merge_method(name=OURS_IN_MERGEKIT[0].spec.name)
    def somebody_elses(group: TensorGroup) -> torch.Tensor:
        return group.entries[0].tensor

    monkeypatch.setitem(registry._METHODS, OURS_IN_MERGEKIT[0].spec.name, somebody_elses)
    with pytest.raises(SaeMergeError, match="another merge method named 'sae_stethoscope'"):
        hosts.register_merge_methods()


def test_the_planner_tells_our_methods_what_is_written_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from mergekit import plan

    class Task(SimpleNamespace):
        def model_copy(self, update: dict[str, Any]) -> "Task":
            return Task(**vars(self) | update)

    def plan_tensor(self: Any, method: str, forced: str | None = None) -> None:
        self._tensors.append((SimpleNamespace(force_dtype=forced), Task(method_name=method, out_dtype=None)))

    monkeypatch.setattr(plan.MergePlanner, "plan_tensor", plan_tensor)
    hosts.register_written_dtype()
    once = plan.MergePlanner.plan_tensor
    hosts.register_written_dtype()
    assert plan.MergePlanner.plan_tensor is once
    planner = SimpleNamespace(config=SimpleNamespace(out_dtype="float32"), _tensors=[])
    for method, forced in (("sae_scalpel", None), ("linear", None), ("sae_stethoscope", "int64")):
        once(planner, method, forced)
    assert [task.out_dtype for _, task in planner._tensors] == ["float32", None, None]
    planner.config.out_dtype = None
    once(planner, "sae_scalpel")
    assert planner._tensors[-1][1].out_dtype is None


def test_another_planner_is_an_error_that_names_out_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    from mergekit import plan

    monkeypatch.delattr(plan.MergePlanner, "plan_tensor")
    with pytest.raises(SaeMergeError, match=r"MergePlanner.*leave out_dtype out"):
        hosts.register_written_dtype()
