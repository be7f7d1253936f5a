"""From evaluations to a comparison: choose the tasks, check them, test them, correct, count, judge damage."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import overload

from sae_merge_method.artifacts.comparison import Comparison, ComparisonSet
from sae_merge_method.artifacts.lm_eval_results import TaskRun
from sae_merge_method.artifacts.subject import Subject
from sae_merge_method.compare.answers import TokenCounter, measure, pair
from sae_merge_method.compare.comparable import differences
from sae_merge_method.compare.evaluation import Evaluation, Source, open_evaluations
from sae_merge_method.compare.gate import gate
from sae_merge_method.compare.groups import ALL_TASKS, Together, compare_groups
from sae_merge_method.compare.notes import Compared, notes
from sae_merge_method.compare.settings import POWER, CompareSettings
from sae_merge_method.compare.subject import ScoredSide, compare_subject, corrected, evidence_of
from sae_merge_method.compare.tasks import common_tasks, resolve_metric
from sae_merge_method.errors import ComparisonError, UsageError
from sae_merge_method.reports.numbers import are_shares
from sae_merge_method.statistics.evidence import Evidence
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
    metric = resolve_metric(base.run, settings.metric or base.run.usual_metric)
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
    sides = {
        task: (
            _side(base, base.run.tasks[task], metric, counter),
            _side(edited, edited.run.tasks[task], metric, counter),
        )
        for task in tasks.common
    }
    unit = _point(sides.values())
    evidence = {task: evidence_of(*sides[task], pairing.pairs) for task, pairing in pairings.items()}
    tested = [compare_subject(task, *sides[task], evidence[task], settings, unit) for task in tasks.common]
    subjects = corrected(tested, settings)
    together = compare_groups(base, edited, metric, pairings, sides, settings, unit)
    groups = corrected([one.subject for one in together], settings)
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
        groups=groups,
        margin=None if settings.margin is None else settings.margin * unit,
        gate=gate(subjects, groups, _whole(base, subjects, together, evidence), evidence, settings, unit),
        counts={verdict: verdicts[verdict] for verdict in VERDICTS},
        mismatches=tuple(differing),
        marks=beside_model.marked,
        notes=tuple(
            notes(
                Compared(
                    base,
                    edited,
                    metric,
                    (*subjects, *groups),
                    {**evidence, **{one.subject.task: one.evidence for one in together}},
                    pairings,
                ),
                settings,
            )
        ),
    )


def _side(side: Evaluation, task: TaskRun, metric: str, counter: TokenCounter | None) -> ScoredSide:
    samples = side.samples(task.name, metric)
    # lm-eval before 0.4.13 counts all problems of a task where --samples chose some.
    n = len(samples.rows) or task.n
    return ScoredSide(task.scores[metric], n, measure(task, metric, samples, counter), task.dataset)


def _point(sides: Iterable[tuple[ScoredSide, ScoredSide]]) -> float:
    """What a point is: a hundredth of a share; of any other score, one."""
    scores = [side.score for both in sides for side in both]
    shares = are_shares(score.value for score in scores)
    return 0.01 if shares and all(score.higher_is_better for score in scores) else 1.0


def _whole(
    base: Evaluation,
    subjects: Sequence[Subject],
    groups: Sequence[Together],
    evidence: Mapping[str, Evidence],
) -> Together | None:
    """All problems together: the only subject, or the group that has all."""
    if len(subjects) == 1:
        return Together(subjects[0], evidence[subjects[0].task])
    for one in groups:
        if one.subject.task == ALL_TASKS or set(base.run.leaves(one.subject.task)) == set(evidence):
            return one
    return None
