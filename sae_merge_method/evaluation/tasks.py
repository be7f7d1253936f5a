"""The tasks of an evaluation, found before anything is loaded: does lm-eval know them, what would they run?

How large they are, and running them, is for ``harness``.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sae_merge_method.errors import UsageError
from sae_merge_method.evaluation.settings import EvaluationSettings
from sae_merge_method.lm_eval_tasks import tasks_path

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager


class FoundTasks(NamedTuple):
    """Tasks, and what lm-eval loads them by."""

    names: tuple[str, ...]
    """Tasks, groups and tags; patterns stand for what they match."""
    manager: "TaskManager"


def task_folders(settings: EvaluationSettings) -> list[Path]:
    """Where tasks lie that are not lm-eval's own; later folders win: the user's own task of a name is the one
    meant."""
    return [tasks_path(), *([Path(settings.include_path)] if settings.include_path else [])]


def find_tasks(settings: EvaluationSettings, metadata: dict[str, Any] | None = None) -> FoundTasks:
    """Look the tasks up, without loading their problems or what scores them.

    Args:
        settings: How lm-eval is called.
        metadata: Arguments of the model, which some tasks are made with.

    Raises:
        UsageError: lm-eval knows no such task, or one of them runs what models write and nobody confirmed it.
    """
    from lm_eval.tasks import TaskManager

    if settings.include_path and not Path(settings.include_path).is_dir():
        raise UsageError(
            f"evaluation.include_path: expected a folder, got {settings.include_path} (paths are relative to "
            f"the working folder, {Path.cwd()})"
        )
    folders = [str(folder) for folder in task_folders(settings)]
    # Reading all of lm-eval's thousands of tasks takes ten seconds: only where they are asked for.
    for include_defaults in (False, True):
        manager = TaskManager(include_path=folders, include_defaults=include_defaults, metadata=metadata)
        matched = {task: manager.match_tasks([task]) for task in settings.tasks}
        unknown = [task for task, names in matched.items() if not names]
        if not unknown:
            names = tuple(dict.fromkeys(name for names in matched.values() for name in names))
            _require_confirmed(settings, sorted(_unsafe(manager, names)))
            return FoundTasks(names, manager)
    raise UsageError(
        f"evaluation.tasks: lm-eval knows no {', '.join(unknown)} (lm_eval ls tasks lists what it knows)"
    )


def _require_confirmed(settings: EvaluationSettings, unsafe: Collection[str]) -> None:
    if unsafe and not settings.confirm_run_unsafe_code:
        raise UsageError(
            f"evaluation.tasks: {', '.join(unsafe)} run{'s' if len(unsafe) == 1 else ''} the code that a "
            "model writes, on this machine and with your rights. To allow it, best inside a container, write "
            "the line `confirm_run_unsafe_code: true` under `evaluation:`, as lm_eval asks for "
            "--confirm_run_unsafe_code"
        )


def _unsafe(manager: "TaskManager", members: Iterable[Any]) -> set[str]:
    """Names of the tasks that lm-eval marks as running what models write.

    They are not loaded to be asked: their metric refuses to be, unless somebody allowed it.
    """
    marked: set[str] = set()
    for member in members:
        # A group may state a member itself, or change it; anything else is a name.
        entry = None if isinstance(member, dict) else manager.task_index.get(member)
        config: dict[str, Any] = member if isinstance(member, dict) else (entry and entry.cfg) or {}
        within = entry.tags if entry is not None and entry.kind.name == "TAG" else config.get("task")
        if config.get("unsafe_code"):
            marked.add(str(within))
        elif not isinstance(within, str):
            marked |= _unsafe(manager, within or ())
        elif isinstance(member, dict):
            marked |= _unsafe(manager, [within])
    return marked
