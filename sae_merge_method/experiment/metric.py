"""The metric that arms are judged by: the tasks have it, and it runs one way in all of them, or they are no
one score."""

from collections.abc import Mapping

from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.compare.tasks import choose_tasks, resolve_metric
from sae_merge_method.errors import UsageError


def expected_one_way(metric: str, where: str) -> str:
    """What is said of a metric of which more is better in some tasks, and less in others.

    Args:
        metric: Its name.
        where: What follows: in which tasks, or in which results.
    """
    return f"expected a metric that rises or falls in every task for the better, got {metric} {where}"


def require_one_way(metric: str, is_more_better: Mapping[str, bool]) -> None:
    """Refuse a metric that runs both ways.

    Args:
        metric: Its name.
        is_more_better: Which way it runs, by task.

    Raises:
        UsageError: It does; a task of either kind is named.
    """
    first = {better: name for name, better in reversed([*is_more_better.items()])}
    if len(first) > 1:
        where = f"of which more is better in {first[True]}, and less in {first[False]}"
        raise UsageError(expected_one_way(metric, where))


def require_judging(run: EvalRun, asked: str) -> str:
    """Make sure, once the base is evaluated, that all arms can be judged by a metric; lm-eval's key for it.

    Raises:
        ComparisonError: Its tasks have others; which, is in the message.
        UsageError: It runs both ways.
    """
    metric = resolve_metric(run, asked)
    scores = {name: run.tasks[name].scores[metric] for name in choose_tasks(run, metric, ())}
    require_one_way(metric, {name: score.higher_is_better for name, score in scores.items()})
    return metric
