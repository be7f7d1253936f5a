"""Which tasks of two evaluations are compared, and by which metric."""

from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.errors import ComparisonError


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
    raise ComparisonError(
        f"no task in {run.path} has the metric {metric}: it has {', '.join(keys) or 'none'}"
    )


def common_tasks(base: EvalRun, edited: EvalRun, metric: str) -> tuple[str, ...]:
    """The tasks with ``metric``, in lm-eval's order; both sides must have the same.

    Raises:
        ComparisonError: No task in common, or tasks that only one side has.
    """
    has = [[name for name, task in run.tasks.items() if metric in task.scores] for run in (base, edited)]
    if not set(has[0]) & set(has[1]):
        sides = " and ".join(f"{', '.join(names) or 'none'}" for names in has)
        raise ComparisonError(f"no common task with {metric}: {sides}")
    for names, others, run in ((has[0], has[1], edited), (has[1], has[0], base)):
        if missing := [name for name in names if name not in others]:
            raise ComparisonError(f"different tasks: {run.path} lacks {', '.join(missing)} ({metric})")
    return tuple(has[0])
