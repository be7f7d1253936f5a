"""lm-eval's groups of tasks: what is in each, and the tasks below it, circles included."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


def leaves(members: Mapping[str, tuple[str, ...]], group: str) -> tuple[str, ...]:
    """The tasks in a group, and in the groups in it, each once, in lm-eval's order.

    Args:
        members: What is in each group.
        group: Name of the group.
    """
    tasks: dict[str, None] = {}
    seen, waiting = {group}, list(members[group])
    while waiting:
        name = waiting.pop(0)
        if name not in members:
            tasks[name] = None
        elif name not in seen:
            seen.add(name)
            waiting = [*members[name], *waiting]
    return tuple(tasks)


def members_of_groups(
    subtasks: Mapping[str, Any], scored: Iterable[str], file: Path
) -> dict[str, tuple[str, ...]]:
    """The groups and what is in each; those that lm-eval scores without naming their tasks are empty (0.4.2).

    Args:
        subtasks: lm-eval's ``group_subtasks``.
        scored: Names of the groups that have scores.
        file: The results file, to name it in warnings.
    """
    members: dict[str, tuple[str, ...]] = dict.fromkeys(scored, ())
    for name, names in subtasks.items():
        # A task that stands as a group of itself is a task.
        if isinstance(names, list) and (others := tuple(str(one) for one in names if one != name)):
            members[name] = others
    for name in members:
        if circle := _circle(name, members):
            logger.warning(
                "%s: group_subtasks goes in a circle, %s: each task is counted once", file, " > ".join(circle)
            )
            break
    return members


def _circle(start: str, members: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The way from a group back to itself; empty where there is none."""
    seen = {start}
    ways: list[tuple[str, ...]] = [(start,)]
    for way in ways:
        for name in members.get(way[-1], ()):
            if name == start:
                return (*way, name)
            if name in members and name not in seen:
                seen.add(name)
                ways.append((*way, name))
    return ()
