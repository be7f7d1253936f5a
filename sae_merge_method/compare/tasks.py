"""Which tasks of two evaluations are compared, and by which metric."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from sae_merge_method.artifacts.lm_eval_results import EvalRun, TaskRun
from sae_merge_method.errors import ComparisonError


class Tasks(NamedTuple):
    """Tasks that both sides have, in lm-eval's order, and what is left out."""

    common: tuple[str, ...]
    mismatches: tuple[str, ...]
    """What only one side has, and scores that are no numbers, a line each."""


def resolve_metric(run: EvalRun, metric: str) -> str:
    """lm-eval's key for ``metric``: given whole ("acc,none"), or without its filter.

    Raises:
        ComparisonError: No task has it, or it has several filters.
    """
    keys = sorted({key for task in run.tasks.values() for key in task.scores})
    if metric in keys:
        return metric
    named = [key for key in keys if key.partition(",")[0] == metric]
    if len(named) == 1:
        return named[0]
    if named:
        raise ComparisonError(f"{metric} has several filters in {run.path}, name one: {', '.join(named)}")
    unusable = [line for name in run.tasks for line in _unusable(run, name, metric)]
    if unusable:
        raise ComparisonError("; ".join(unusable))
    known = ", ".join(keys) or "none"
    raise ComparisonError(f"no task in {run.path} has the metric {metric}, the metrics there: {known}")


def _unusable(run: EvalRun, task: str, metric: str) -> list[str]:
    """A line where the file has the task's score, and it is no number to compare."""
    scores = run.tasks[task].unusable if task in run.tasks else {}
    return [
        f"{task}: {key} is {value} in {run.path}: no score to compare"
        for key, value in scores.items()
        if metric in (key, key.partition(",")[0])
    ]


def choose_tasks(run: EvalRun, metric: str, globs: Sequence[str]) -> tuple[str, ...]:
    """The tasks of one run that have ``metric``, in lm-eval's order.

    Args:
        run: The evaluation.
        metric: lm-eval's key.
        globs: Names or patterns of tasks and groups; a group stands for its tasks. Empty: all.

    Raises:
        ComparisonError: A pattern fits no task with that metric.
    """
    having = [name for name, task in run.tasks.items() if metric in task.scores]
    if not globs:
        return tuple(having)
    chosen: set[str] = set()
    for glob in globs:
        named = _named(run, glob)
        if not named & set(having):
            if unusable := [line for name in named for line in _unusable(run, name, metric)]:
                raise ComparisonError("; ".join(sorted(unusable)))
            known = ", ".join([*having, *run.groups])
            raise ComparisonError(f"{glob} fits no task with {metric} in {run.path}, which has: {known}")
        chosen |= named
    return tuple(name for name in having if name in chosen)


def _named(run: EvalRun, glob: str) -> set[str]:
    """The tasks that a pattern names, itself or by a group of theirs."""
    fitting = {name for name in run.tasks if fnmatchcase(name, glob)}
    for name in run.groups:
        if fnmatchcase(name, glob):
            fitting |= set(run.leaves(name))
    return fitting


def common_tasks(base: EvalRun, edited: EvalRun, metric: str, globs: Sequence[str] = ()) -> Tasks:
    """The tasks to compare.

    Raises:
        ComparisonError: No task in common, or a pattern that fits none.
    """
    of_base, of_edited = (choose_tasks(run, metric, globs) for run in (base, edited))
    unusable = [
        (name, line)
        for run in (base, edited)
        for name in run.tasks
        if not globs or any(name in _named(run, glob) for glob in globs)
        for line in _unusable(run, name, metric)
    ]
    common = tuple(name for name in of_base if name in of_edited)
    if not common:
        if unusable:
            raise ComparisonError("; ".join(line for _, line in unusable))
        sides = " and ".join(", ".join(names) or "none" for names in (of_base, of_edited))
        raise ComparisonError(f"no common task with {metric}: {sides}")
    # A task that a side has without a usable score is named once, with that reason.
    named = {name for name, _ in unusable}
    lacking = (
        (edited, [name for name in of_base if name not in of_edited and name not in named]),
        (base, [name for name in of_edited if name not in of_base and name not in named]),
    )
    lines = [
        f"different tasks: {run.path} lacks {', '.join(names)} ({metric})" for run, names in lacking if names
    ]
    return Tasks(common, (*lines, *(line for _, line in unusable)))


def common_groups(base: EvalRun, edited: EvalRun, metric: str, tasks: Iterable[str]) -> tuple[str, ...]:
    """Groups that both sides aggregated over the same tasks, all of them among ``tasks``."""
    chosen = set(tasks)
    return tuple(
        name
        for name in base.groups
        if name in edited.groups
        and metric in base.groups[name].scores
        and metric in edited.groups[name].scores
        and base.leaves(name)
        and set(base.leaves(name)) == set(edited.leaves(name))
        and set(base.leaves(name)) <= chosen
    )


def group_size(run: EvalRun, group: TaskRun) -> int | None:
    """Problems behind a group's score: its own count, or the sum over its tasks."""
    if group.n is not None:
        return group.n
    if not run.leaves(group.name):
        return None
    counts = [run.tasks[name].n for name in run.leaves(group.name) if name in run.tasks]
    return sum(count for count in counts if count is not None) if None not in counts else None
