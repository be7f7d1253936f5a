"""Several subjects as one: lm-eval's own groups, and all subjects together where none of them has all."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from sae_merge_method.artifacts.lm_eval_results import Score, TaskRun
from sae_merge_method.artifacts.lm_eval_samples import Samples
from sae_merge_method.artifacts.subject import Measures, Subject
from sae_merge_method.compare.answers import Pairing, measure
from sae_merge_method.compare.evaluation import Evaluation
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.compare.subject import ScoredSide, compare_subject, evidence_of
from sae_merge_method.compare.tasks import common_groups, group_size
from sae_merge_method.statistics.evidence import Evidence

ALL_TASKS = "all tasks"
"""What stands for all subjects together where no group of lm-eval's has them all."""
OPPOSITE = "more is better in some of these tasks and worse in others"
"""Why several tasks are not tested as one."""


def pooled(scores: Sequence[Score], counts: Sequence[int | None]) -> Score | None:
    """The mean over the problems of all tasks, ``sum(n_i s_i) / sum(n_i)``; None where a count is unknown.

    Its standard error is what lm-eval gives to a group of ``k`` tasks (``pooled_sample_stderr``), the square
    root of ``sum(n_i (n_i - 1) se_i^2) / (sum(n_i) - k) / sum(n_i)``.
    """
    known = [n for n in counts if n]
    if len(known) < len(scores):
        return None
    total = sum(known)
    mean = math.fsum(n * score.value for n, score in zip(known, scores, strict=True)) / total
    # A task of one problem has no standard error, and takes no part in the sum.
    errors = [0.0 if n == 1 else score.stderr for n, score in zip(known, scores, strict=True)]
    squares = [n * (n - 1) * error**2 for n, error in zip(known, errors, strict=True) if error is not None]
    stderr = None
    if len(squares) == len(scores) and total > len(scores):
        stderr = math.sqrt(math.fsum(squares) / (total - len(scores)) / total)
    return Score(mean, stderr, all(score.higher_is_better for score in scores))


class Together(NamedTuple):
    """A group that was tested, and what it was tested on."""

    subject: Subject
    evidence: Evidence


def compare_groups(
    base: Evaluation,
    edited: Evaluation,
    metric: str,
    pairings: Mapping[str, Pairing],
    sides: Mapping[str, tuple[ScoredSide, ScoredSide]],
    settings: CompareSettings,
    unit: float,
) -> list[Together]:
    """lm-eval's own aggregates, and all subjects together where none of them is that.

    Args:
        base: Before the edit.
        edited: After it.
        metric: lm-eval's key of the score that is compared.
        pairings: The answers of both to every subject.
        sides: Both models' parts in every subject.
        settings: What was asked for.
        unit: What a point is, of the score.
    """
    made = []
    for name in common_groups(base.run, edited.run, metric, pairings):
        members = base.run.leaves(name)
        both = (
            _group_side(base, name, metric, [sides[task][0] for task in members]),
            _group_side(edited, name, metric, [sides[task][1] for task in members]),
        )
        if not _one_direction(sides[task] for task in members):
            made.append(_untested(name, *both, settings, unit))
            continue
        leaves = [pairings[task] for task in members]
        evidence = _evidence(*both, leaves)
        made.append(Together(compare_subject(name, *both, evidence, settings, unit), evidence))
    covered = any(set(base.run.leaves(one.subject.task)) == set(pairings) for one in made)
    if len(sides) > 1 and not covered and _one_direction(sides.values()):
        before, after = (_all_tasks([side[nth] for side in sides.values()]) for nth in (0, 1))
        if before is not None and after is not None:
            evidence = _evidence(before, after, list(pairings.values()))
            together = compare_subject(ALL_TASKS, before, after, evidence, settings, unit)
            made.append(Together(together, evidence))
    return made


def _one_direction(tasks: Iterable[tuple[ScoredSide, ScoredSide]]) -> bool:
    """Whether more is better in all of them, or less in all: else their mean is neither."""
    return len({all(side.score.higher_is_better for side in both) for both in tasks}) == 1


def _untested(
    name: str, base: ScoredSide, edited: ScoredSide, settings: CompareSettings, unit: float
) -> Together:
    """A group whose score is shown and cannot be better or worse."""
    plain = [side._replace(score=replace(side.score, stderr=None), right=None) for side in (base, edited)]
    evidence = evidence_of(plain[0], plain[1], ())
    subject = compare_subject(name, plain[0], plain[1], evidence, settings, unit)
    told = {"reason": OPPOSITE, "base_stderr": base.score.stderr, "edited_stderr": edited.score.stderr}
    return Together(subject.model_copy(update=told), evidence)


def _evidence(base: ScoredSide, edited: ScoredSide, leaves: Sequence[Pairing]) -> Evidence:
    """The pairs of all tasks, where the group's score is their mean, or the mean of the tasks' means."""
    pairs = [pair for leaf in leaves for pair in leaf.pairs]
    every = evidence_of(base, edited, pairs)
    if every.covers_both or not all(leaf.pairs for leaf in leaves):
        return every if every.covers_both else replace(every, pairs=(), problems=())
    # A mean of means weighs a problem by how few its task has.
    weights = [len(pairs) / len(leaves) / len(leaf.pairs) for leaf in leaves for _ in leaf.pairs]
    weighted = [
        (weight * before, weight * after)
        for weight, (before, after) in zip(weights, every.pairs, strict=True)
    ]
    even = replace(every, pairs=weighted)
    return even if even.covers_both else replace(every, pairs=(), problems=())


def _group_side(side: Evaluation, name: str, metric: str, members: Sequence[ScoredSide]) -> ScoredSide:
    group: TaskRun = side.run.groups[name]
    own = measure(group, metric, Samples(side.run.path, ()), None)
    n, means = group_size(side.run, group), _mean_measures(members)
    known = {what: value for what, value in own.model_dump().items() if value is not None}
    # lm-eval writes null where its tasks differ, and nothing at all before 0.4.3.
    up = all(member.score.higher_is_better for member in members)
    score = replace(group.scores[metric], higher_is_better=up)
    return ScoredSide(score, n, means.model_copy(update=known), right=_right(score, n, members))


def _all_tasks(sides: Sequence[ScoredSide]) -> ScoredSide | None:
    """One model's part in all subjects; None where the number of problems is not known."""
    score = pooled([side.score for side in sides], [side.n for side in sides])
    if score is None:
        return None
    n = sum(side.n or 0 for side in sides)
    return ScoredSide(score, n, _mean_measures(sides), right=_right(score, n, sides))


def _right(score: Score, n: int | None, members: Sequence[ScoredSide]) -> int | None:
    """Problems right in all tasks; None where a task does not tell, or the score is no mean over problems."""
    counts = [member.mean.right for member in members]
    right = sum(count for count in counts if count is not None)
    if None in counts or not n or not math.isclose(right / n, score.value, abs_tol=1e-9):
        return None
    return right


def _mean_measures(sides: Sequence[ScoredSide]) -> Measures:
    """Of all their problems; None of what is not known of each."""
    return Measures.model_validate({name: _mean_measure(name, sides) for name in Measures.model_fields})


def _mean_measure(name: str, sides: Sequence[ScoredSide]) -> float | None:
    values = [getattr(side.measures, name) for side in sides]
    counts = [side.n for side in sides if side.n]
    if len(counts) < len(sides) or any(value is None for value in values):
        return None
    return math.fsum(n * value for n, value in zip(counts, values, strict=True)) / sum(counts)
