"""The ``model-index`` of a card's front matter: our results beside the author's, whose YAML stays as it is.

A metric of ours bears the hash of the checkpoint that it was measured on. By it, the task and the metric a
second run knows what the first one wrote. Before a checkpoint without a hash was marked, too, its results
bore nothing: they are known by their form.
"""

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sae_merge_method.errors import ArtifactError

MEASURED_ON = "result_sha256"
"""Argument of a metric that says which checkpoint was measured."""
NO_HASH = "unknown"
"""Stands there for a checkpoint without a hash."""
TASK_TYPE = "text-generation"
"""What the Hub calls every task of ours."""
PROBLEMS = "problems"
"""Argument of a data set that says how many of its problems were asked."""
_RESULTS = "results"


class Naming(NamedTuple):
    """How the model is called whose results are ours."""

    name: str
    """Its name, where none stands."""
    is_asked: bool = False
    """Whether the user asked for it, in the place of one that stands."""


def renewed_index(index: Any, ours: Sequence[dict[str, Any]], naming: Naming, result: str | None) -> Any:
    """A model-index with results of ours in it; one in which nothing changes is returned itself.

    Results that an earlier run wrote give way where they are of another checkpoint, or where ``ours`` has the
    same metric of the same task; for the latter the form of ours is enough.

    Args:
        index: What stands; None where nothing does.
        ours: Results to add, each of one task, in the Hub's schema.
        naming: The model's name.
        result: Hash of the checkpoint; None where it has none.

    Raises:
        ArtifactError: There are results to add, and what stands is no list of models with results.
    """
    if not _is_list_of_models(index):
        if not ours:
            return index
        raise ArtifactError(
            "README.md has a model-index that no results can be added to: expected a list of models, each "
            "with a name and a list of results; mend it, or take it out"
        )
    standing, own = list(index or ()), result or NO_HASH
    named = [_task_and_metric(one, metric) for one in ours for metric in _metrics(one)]
    models = [_without(model, named, own) for model in standing]
    place = _place(standing, naming.name)
    if place is None and ours:
        place, models = len(models), [*models, {"name": naming.name}]
    if place is not None:
        models[place] = _with(models[place], ours, naming)
    # A model of which nothing is left but its name was ours alone.
    were = [*standing, {}]
    left = [new for new, old in zip(models, were, strict=False) if new.get(_RESULTS) or not old.get(_RESULTS)]
    return index if _are_same(left, standing) else left


def _is_list_of_models(index: Any) -> bool:
    return index is None or (
        isinstance(index, list)
        and all(isinstance(model, dict) and isinstance(model.get(_RESULTS) or [], list) for model in index)
    )


def _place(models: Sequence[dict[str, Any]], name: str) -> int | None:
    """Which model is ours: the one that holds what we wrote, that has the name, or the only one."""
    holds = [nth for nth, model in enumerate(models) if any(map(_has_ours, model.get(_RESULTS) or ()))]
    called = [nth for nth, model in enumerate(models) if model.get("name") == name]
    only = [0] if len(models) == 1 else []
    return next(iter((*holds, *called, *only)), None)


def _without(model: dict[str, Any], named: Sequence[tuple[Any, Any]], own: str) -> dict[str, Any]:
    """A model less those of our metrics that are of another checkpoint or in ``named``; or itself."""

    def gives_way(one: Any, metric: Any) -> bool:
        if _mark(metric) is None and not _has_our_form(one, metric):
            return False
        return _mark(metric) not in (None, own) or _task_and_metric(one, metric) in named

    standing = model.get(_RESULTS) or []
    left = []
    for one in standing:
        metrics = _metrics(one)
        kept = [metric for metric in metrics if not gives_way(one, metric)]
        if len(kept) == len(metrics):
            left.append(one)
        elif kept:
            left.append({**one, "metrics": kept})
    return model if _are_same(left, standing) else {**model, _RESULTS: left}


def _with(model: dict[str, Any], ours: Sequence[dict[str, Any]], naming: Naming) -> dict[str, Any]:
    """A model with our results behind the author's, under the name that stands or is asked for."""
    if not ours and not naming.is_asked:
        return model
    name = naming.name if naming.is_asked or not model.get("name") else model["name"]
    if not ours and name == model.get("name"):
        return model
    results = {_RESULTS: [*(model.get(_RESULTS) or ()), *ours]} if ours else {}
    return {"name": name, **{key: value for key, value in model.items() if key != "name"}, **results}


def _are_same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(map(operator.is_, one, other))


def _metrics(result: Any) -> list[Any]:
    metrics = result.get("metrics") if isinstance(result, Mapping) else None
    return metrics if isinstance(metrics, list) else []


def _mark(metric: Any) -> Any:
    """The hash that a metric of ours bears; None for the author's, and for one that an older version left."""
    arguments = metric.get("args") if isinstance(metric, Mapping) else None
    return arguments.get(MEASURED_ON) if isinstance(arguments, Mapping) else None


def _has_our_form(result: Mapping[str, Any], metric: Any) -> bool:
    """Whether a metric without a mark is written as we write them: with lm-eval's filter and the problems."""
    if not isinstance(metric, Mapping) or metric.get("args") is not None:
        return False
    counted = _part(result, "dataset").get("args")
    is_of_problems = isinstance(counted, Mapping) and set(counted) == {PROBLEMS}
    return (
        _part(result, "task").get("type") == TASK_TYPE and "," in str(metric.get("name")) and is_of_problems
    )


def _has_ours(result: Any) -> bool:
    return any(_mark(metric) is not None for metric in _metrics(result))


def _task_and_metric(result: Mapping[str, Any], metric: Mapping[str, Any]) -> tuple[Any, Any]:
    return _part(result, "task").get("name"), metric.get("name")


def _part(result: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = result.get(key)
    return part if isinstance(part, Mapping) else {}
