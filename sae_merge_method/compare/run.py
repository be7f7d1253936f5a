"""From evaluations to a comparison: choose the tasks, check them, test them, correct, count."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import overload

from sae_merge_method.artifacts.comparison import Comparison, ComparisonSet, Subject
from sae_merge_method.artifacts.lm_eval_results import TaskRun
from sae_merge_method.artifacts.lm_eval_samples import Samples
from sae_merge_method.compare.answers import Pair, Pairing, TokenCounter, measure, pair
from sae_merge_method.compare.comparable import differences
from sae_merge_method.compare.evaluation import Evaluation, Source, open_evaluations
from sae_merge_method.compare.notes import notes
from sae_merge_method.compare.settings import POWER, CompareSettings
from sae_merge_method.compare.subject import ScoredSide, compare_subject, corrected
from sae_merge_method.compare.tasks import common_groups, common_tasks, group_size, resolve_metric
from sae_merge_method.errors import ComparisonError, UsageError
from sae_merge_method.statistics.verdicts import VERDICTS


@overload
def compare(base: Source, edited: Source, /, *, settings: CompareSettings | None = None) -> Comparison: ...
@overload
def compare(
    base: Source, *edited: Source, settings: CompareSettings | None = None
) -> Comparison | ComparisonSet: ...
def compare(
    base: Source, *edited: Source, settings: CompareSettings | None = None
) -> Comparison | ComparisonSet:
    """Say what changed from a base to each edited model, task by task.

    Args:
        base: lm-eval's output folder or results file of the base, or an opened evaluation.
        edited: The same of each edited model, one or more.
        settings: What is compared, and how; None for the defaults.

    Returns:
        A comparison; of several edited models a set of them, in the order given.

    Raises:
        UsageError: No edited model.
        ComparisonError: The runs differ in more than the model, and in what.
        ArtifactError: Results, samples or the tokenizer are missing or damaged.
    """
    if not edited:
        raise UsageError("expected the results of one edited model or more beside the base's")
    before, *after = open_evaluations((base, *edited))
    made = tuple(compare_evaluations(before, one, settings or CompareSettings()) for one in after)
    return made[0] if len(made) == 1 else ComparisonSet(comparisons=made)


def compare_evaluations(base: Evaluation, edited: Evaluation, settings: CompareSettings) -> Comparison:
    """Compare one edited model with its base.

    Raises:
        ComparisonError: The runs differ in more than the model, and in what.
        ArtifactError: A samples file or the tokenizer is damaged.
    """
    metric = resolve_metric(base.run, settings.metric)
    tasks = common_tasks(base.run, edited.run, metric, settings.tasks)
    pairings = {task: pair(base.samples(task, metric), edited.samples(task, metric)) for task in tasks.common}
    beside_model = differences(base.run, edited.run, pairings)
    differing = [*tasks.mismatches, *beside_model.refused]
    if differing and not settings.allow_mismatch:
        raise ComparisonError(
            "these runs differ in more than the model (--allow-mismatch compares and marks them):\n  "
            + "\n  ".join(differing)
        )

    counter = TokenCounter(settings.tokenizer) if settings.tokenizer else None
    tested = [
        compare_subject(
            task,
            _side(base, base.run.tasks[task], metric, counter),
            _side(edited, edited.run.tasks[task], metric, counter),
            pairing.pairs,
            settings,
        )
        for task, pairing in pairings.items()
    ]
    subjects = corrected(tested, settings)
    verdicts = Counter(subject.verdict for subject in subjects)
    return Comparison(
        base=base.side(),
        edited=edited.side(),
        metric=metric,
        test=settings.test,
        correction=settings.correction,
        alpha=settings.alpha,
        power=POWER,
        draws=settings.draws,
        seed=settings.seed,
        subjects=subjects,
        groups=_groups(base, edited, metric, pairings, settings),
        counts={verdict: verdicts[verdict] for verdict in VERDICTS},
        mismatches=tuple(differing),
        marks=beside_model.marked,
        notes=tuple(notes(base, edited, metric, settings.alpha, subjects, pairings)),
    )


def _side(side: Evaluation, task: TaskRun, metric: str, counter: TokenCounter | None) -> ScoredSide:
    samples = side.samples(task.name, metric)
    # lm-eval before 0.4.13 counts all problems of a task where --samples chose some.
    n = len(samples.rows) or task.n
    return ScoredSide(task.scores[metric], n, measure(task, metric, samples, counter), task.dataset)


def _groups(
    base: Evaluation,
    edited: Evaluation,
    metric: str,
    pairings: Mapping[str, Pairing],
    settings: CompareSettings,
) -> tuple[Subject, ...]:
    """lm-eval's own aggregates, and the pairs of all their tasks together."""
    groups = []
    for name in common_groups(base.run, edited.run, metric, pairings):
        before, after = _group_side(base, name, metric), _group_side(edited, name, metric)
        pairs = [both for task in base.run.leaves(name) for both in pairings[task].pairs]
        # Only where the group's score is the mean over all its problems, every one of them paired.
        together = len(pairs) == before.n and _is_mean_difference(
            pairs, after.score.value - before.score.value
        )
        groups.append(compare_subject(name, before, after, pairs if together else [], settings))
    return tuple(groups)


def _group_side(side: Evaluation, name: str, metric: str) -> ScoredSide:
    group = side.run.groups[name]
    measures = measure(group, metric, Samples(side.run.path, ()), None)
    return ScoredSide(group.scores[metric], group_size(side.run, group), measures)


def _is_mean_difference(pairs: Sequence[Pair], delta: float) -> bool:
    total = sum(edited.score - base.score for base, edited in pairs)
    return bool(pairs) and abs(total / len(pairs) - delta) < 1e-9
