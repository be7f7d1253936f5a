"""Which tasks of two evaluations are compared, and by which metric."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from sae_merge_method.artifacts.lm_eval_results import EvalRun, TaskRun
from sae_merge_method.errors import ComparisonError


class Tasks(NamedTuple):
    """Tasks that both sides have, in lm-eval's order, and what only one side has."""

    common: tuple[str, ...]
    mismatches: tuple[str, ...]


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
    known = ", ".join(keys) or "none"
    raise ComparisonError(f"no task in {run.path} has the metric {metric}, the metrics there: {known}")


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
        fitting = {name for name in having if fnmatchcase(name, glob)}
        for name in run.groups:
            if fnmatchcase(name, glob):
                fitting |= set(run.leaves(name)) & set(having)
        if not fitting:
            known = ", ".join([*having, *run.groups])
            raise ComparisonError(f"{glob} fits no task with {metric} in {run.path}, which has: {known}")
        chosen |= fitting
    return tuple(name for name in having if name in chosen)


def common_tasks(base: EvalRun, edited: EvalRun, metric: str, globs: Sequence[str] = ()) -> Tasks:
    """The tasks to compare.

    Raises:
        ComparisonError: No task in common, or a pattern that fits none.
    """
    of_base, of_edited = (choose_tasks(run, metric, globs) for run in (base, edited))
    common = tuple(name for name in of_base if name in of_edited)
    if not common:
        sides = " and ".join(", ".join(names) or "none" for names in (of_base, of_edited))
        raise ComparisonError(f"no common task with {metric}: {sides}")
    lacking = [(edited, [name for name in of_base if name not in of_edited])]
    lacking.append((base, [name for name in of_edited if name not in of_base]))
    lines = (
        f"different tasks: {run.path} lacks {', '.join(names)} ({metric})" for run, names in lacking if names
    )
    return Tasks(common, tuple(lines))


def common_groups(base: EvalRun, edited: EvalRun, metric: str, tasks: Iterable[str]) -> tuple[str, ...]:
    """Groups that both sides aggregated over the same tasks, all of them among ``tasks``."""
    chosen = set(tasks)
    return tuple(
        name
        for name in base.groups
        if name in edited.groups
        and metric in base.groups[name].scores
        and metric in edited.groups[name].scores
        and set(base.leaves(name)) == set(edited.leaves(name))
        and set(base.leaves(name)) <= chosen
    )


def group_size(run: EvalRun, group: TaskRun) -> int | None:
    """Problems behind a group's score: its own count, or the sum over its tasks."""
    if group.n is not None:
        return group.n
    counts = [run.tasks[name].n for name in run.leaves(group.name) if name in run.tasks]
    return sum(count for count in counts if count is not None) if None not in counts else None
