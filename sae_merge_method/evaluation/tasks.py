"""The tasks of an evaluation, found before anything is loaded: does lm-eval know them, what would they run?

How large they are, and running them, is for ``harness``.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sae_merge_method.artifacts.lm_eval_metrics import is_higher_better
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


def _folders(settings: EvaluationSettings) -> list[str]:
    """Where tasks lie that are not lm-eval's own; later folders win: the user's own task of a name is the one
    meant."""
    return [str(tasks_path()), *([settings.include_path] if settings.include_path else [])]


def folders_asked(settings: EvaluationSettings) -> list[Path]:
    """The folders whose files decide what the asked tasks are, lm-eval's own aside.

    Of ours those that the tasks come from, or that their YAML names, as an ``include`` does; the user's own
    folder as a whole.
    """
    from lm_eval.tasks import TaskManager

    # A task that nobody finds in these folders is lm-eval's own.
    manager = TaskManager(include_path=_folders(settings), include_defaults=False)
    told = " ".join(
        f"{file} {config} {file.read_text(encoding='utf-8', errors='replace') if file else ''}"
        for config, file in _reached(manager, manager.match_tasks(list(settings.tasks)))
    )
    ours = sorted(folder for folder in tasks_path().iterdir() if folder.is_dir())
    home = re.escape(tasks_path().name)
    named = [folder for folder in ours if re.search(rf"{home}[/\\.]+{re.escape(folder.name)}\b", told)]
    return [*named, *([Path(settings.include_path)] if settings.include_path else [])]


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
    # Reading all of lm-eval's thousands of tasks takes ten seconds: only where they are asked for.
    for include_defaults in (False, True):
        manager = TaskManager(
            include_path=_folders(settings), include_defaults=include_defaults, metadata=metadata
        )
        matched = {task: manager.match_tasks([task]) for task in settings.tasks}
        unknown = [task for task, names in matched.items() if not names]
        if not unknown:
            names = tuple(dict.fromkeys(name for names in matched.values() for name in names))
            _require_confirmed(settings, sorted(_unsafe(manager, names)))
            return FoundTasks(names, manager)
    raise UsageError(
        f"evaluation.tasks: lm-eval knows no {', '.join(unknown)} (lm_eval ls tasks lists what it knows)"
    )


def directions(tasks: FoundTasks, metric: str) -> dict[str, bool]:
    """Whether more of a metric is better, by task that lists it in its YAML; nothing is loaded.

    Args:
        tasks: Tasks, groups and tags.
        metric: lm-eval's name of it, with or without its filter behind a comma.
    """
    name, _, filter_name = metric.partition(",")
    told = {}
    for task, config in _scored(tasks.manager, tasks.names, {}):
        listed = [entry.get("metric") for entry in config.get("metric_list") or ()]
        filters = [entry.get("name") for entry in config.get("filter_list") or ({"name": "none"},)]
        if name in listed and filter_name in ("", *filters):
            told[task] = is_higher_better(name, {}, config)
    return told


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
    reached = (config for config, _ in _reached(manager, members))
    return {str(config.get("task")) for config in reached if config.get("unsafe_code")}


def _reached(manager: "TaskManager", members: Iterable[Any]) -> Iterator[tuple[dict[str, Any], Path | None]]:
    """The settings of tasks and groups, and of all that is in them, each with the YAML that it stands in."""
    for member in members:
        # A group may state a member itself, or change it; anything else is a name.
        entry = None if isinstance(member, dict) else manager.task_index.get(member)
        config: dict[str, Any] = member if isinstance(member, dict) else (entry and entry.cfg) or {}
        yield config, entry.yaml_path if entry is not None else None
        within = entry.tags if entry is not None and entry.kind.name == "TAG" else config.get("task")
        if not isinstance(within, str):
            yield from _reached(manager, within or ())
        elif isinstance(member, dict):
            yield from _reached(manager, [within])


_SCORING = ("metric_list", "filter_list")
"""Keys that say how a task is scored."""


def _scored(
    manager: "TaskManager", members: Iterable[Any], changes: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """All tasks among these and in them, by name, with how each is scored; a group may change that of its
    members, and the outer one has the last word."""
    for member in members:
        stated: dict[str, Any] = member if isinstance(member, dict) else {"task": member}
        name = stated.get("group", stated.get("task"))
        entry = manager.task_index.get(name) if isinstance(name, str) else None
        own = (entry and entry.cfg) or {}
        changed = {**changes, **_scoring(stated)}
        if entry is not None and entry.kind.name == "TAG":
            yield from _scored(manager, sorted(entry.tags), changed)
        elif isinstance(within := (own or stated).get("task"), str):
            yield str(name), {**_scoring(own), **changed}
        else:
            yield from _scored(manager, within or (), {**_scoring(own), **changed})


def _scoring(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: config[key] for key in _SCORING if key in config}
