"""What the scores of an inspect_ai log come to: one number a problem, its epochs reduced as the log says.

Values, their numbers and the reducers are inspect_ai's own (``value_to_float`` and ``scorer/_reducer``).
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean, median
from typing import Any, NamedTuple

from sae_merge_method.artifacts.inspect_log import Log
from sae_merge_method.errors import ArtifactError

_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Correct, partly so, incorrect, no answer."""
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


class ReducedScore(NamedTuple):
    """One score of every problem."""

    key: str
    """As lm-eval would write it: the metric, a comma, the scorer."""
    scorer: str
    """Whose answers belong to it."""
    values: Mapping[str, float]
    """By the problem's id; problems that were not scored are left out."""
    value: float
    """What the log reports of all problems; their mean where it reports none."""
    stderr: float | None
    """Its standard error: the log's own, else that of the mean; None for fewer than two problems."""


def as_number(value: Any) -> float | None:
    """A score's value as a number; None for one that is none.

    A letter (C, P, I, N), a truth value, a number, or any of these as text.
    """
    if isinstance(value, str):
        known = _LETTERS.get(value, _WORDS.get(value.lower()))
        if known is not None:
            return known
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def reduced_scores(log: Log) -> tuple[ReducedScore, ...]:
    """Every score that the log has, in its order.

    Raises:
        ArtifactError: Epochs are reduced in a way that is not known, and the log holds no reductions.
    """
    entries = (log.header.get("results") or {}).get("scores") or _unreported(log)
    reducers = Counter(_scorer_of(entry) for entry in entries)
    scores = (_score(log, entry, with_reducer=reducers[_scorer_of(entry)] > 1) for entry in entries)
    return tuple(score for score in scores if score is not None)


def _scorer_of(entry: Mapping[str, Any]) -> tuple[str, str]:
    return str(entry["name"]), str(entry.get("scorer") or entry["name"])


def _unreported(log: Log) -> list[dict[str, Any]]:
    """One entry a scorer, where the log has samples and no results."""
    names = dict.fromkeys(name for sample in log.samples for name in sample.values)
    return [{"name": name, "scorer": name} for name in names]


def _score(log: Log, entry: Mapping[str, Any], *, with_reducer: bool) -> ReducedScore | None:
    name, scorer = _scorer_of(entry)
    asked = (log.header["eval"].get("config") or {}).get("epochs_reducer") or ["mean"]
    reducer = str(entry.get("reducer") or asked[0])
    values = _reduced(log, name, scorer, reducer)
    if not values:
        return None
    metrics = {key: metric.get("value") for key, metric in (entry.get("metrics") or {}).items()}
    metric = next(
        (known for known in ("accuracy", "mean") if known in metrics), "mean" if metrics else "accuracy"
    )
    reported, stderr = as_number(metrics.get(metric)), as_number(metrics.get("stderr"))
    label = scorer if name == scorer else f"{scorer} {name}"
    n = len(values)
    mean = fmean(values.values())
    if stderr is None and n > 1:
        stderr = math.sqrt(sum((value - mean) ** 2 for value in values.values()) / (n - 1) / n)
    return ReducedScore(
        key=f"{metric} {reducer},{label}" if with_reducer else f"{metric},{label}",
        scorer=scorer,
        values=values,
        value=mean if reported is None else reported,
        stderr=stderr,
    )


def _reduced(log: Log, name: str, scorer: str, reducer: str) -> dict[str, float]:
    """By problem: from the log's own reductions where it has them."""
    for reduction in log.reductions:
        if reduction.get("scorer") in (name, scorer) and reduction.get("reducer") == reducer:
            numbers = {
                str(sample["sample_id"]): _part(sample.get("value"), name) for sample in reduction["samples"]
            }
            return {id: number for id, number in numbers.items() if number is not None}
    by_problem: dict[str, list[float]] = {}
    for sample in log.samples:
        number = _part(sample.values.get(name, sample.values.get(scorer)), name)
        if number is not None:
            by_problem.setdefault(sample.id, []).append(number)
    if all(len(numbers) == 1 for numbers in by_problem.values()):
        return {id: numbers[0] for id, numbers in by_problem.items()}
    reduce = _reducer(reducer)
    if reduce is None:
        raise ArtifactError(
            f"{log.path}: epochs are reduced by {reducer}, and the log does not hold what that came to"
        )
    return {id: reduce(numbers) for id, numbers in by_problem.items()}


def _part(value: Any, name: str) -> float | None:
    """Of a score with several values the one of this name."""
    return as_number(value.get(name) if isinstance(value, Mapping) else value)


def _reducer(name: str) -> Callable[[Sequence[float]], float] | None:
    """From one problem's scores to its score."""
    kind, _, count = name.rpartition("_")
    if kind in _COUNTING and count.isdecimal():
        return partial(_COUNTING[kind], k=int(count))
    return _REDUCERS.get(name)


def _mode(scores: Sequence[float]) -> float:
    """The commonest; of equally common ones the first."""
    return Counter(scores).most_common(1)[0][0]


def _at_least(scores: Sequence[float], k: int) -> float:
    """1 where at least k epochs were right."""
    return float(sum(score >= 1 for score in scores) >= k)


def _pass_at(scores: Sequence[float], k: int) -> float:
    """The chance that one of k epochs is right (Chen et al. 2021, arXiv 2107.03374, unbiased)."""
    n = len(scores)
    right = sum(score >= 1 for score in scores)
    return 1.0 if n - right < k else 1 - math.comb(n - right, k) / math.comb(n, k)


_REDUCERS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": fmean,
    "median": median,
    "max": max,
    "mode": _mode,
}
_COUNTING: Mapping[str, Callable[..., float]] = {"at_least": _at_least, "pass_at": _pass_at}
