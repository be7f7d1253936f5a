"""From two evaluations to a comparison: choose the tasks, check them, test them, correct, count."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sae_merge_method.artifacts.comparison import Comparison, Side, Subject
from sae_merge_method.artifacts.lm_eval_results import EvalRun, TaskRun
from sae_merge_method.artifacts.lm_eval_samples import Samples, read_samples
from sae_merge_method.compare.answers import TokenCounter, measure
from sae_merge_method.compare.comparable import conflict_notes, format_notes, mismatches, unchecked
from sae_merge_method.compare.pairing import Pair, Pairing, pair
from sae_merge_method.compare.subject import POWER, Settings, SideOfSubject, compare_subject
from sae_merge_method.compare.tasks import common_groups, common_tasks, group_size, resolve_metric
from sae_merge_method.errors import ComparisonError
from sae_merge_method.statistics.multiplicity import CORRECTIONS


@dataclass(frozen=True)
class Evaluation:
    """One side: its results, a short name, and its samples once they were read."""

    run: EvalRun
    label: str
    samples: dict[str, Samples] = field(default_factory=dict)

    def read(self, task: str, metric: str) -> Samples:
        """The samples of a task, read once however many models are compared with this one."""
        if task not in self.samples:
            self.samples[task] = read_samples(self.run, task, metric)
        return self.samples[task]


def compare_runs(base: Evaluation, edited: Evaluation, settings: Settings) -> Comparison:
    """Compare an edited model with its base, task by task.

    Raises:
        ComparisonError: The runs differ in more than the model, and in what.
        ArtifactError: A samples file or the tokenizer is damaged.
    """
    metric = resolve_metric(base.run, settings.metric)
    tasks = common_tasks(base.run, edited.run, metric, settings.tasks)
    pairings = {task: pair(base.read(task, metric), edited.read(task, metric)) for task in tasks.common}
    differing = [*tasks.mismatches, *mismatches(base.run, edited.run, tasks.common)]
    differing += [f"{task}: {line}" for task, found in pairings.items() for line in found.mismatches]
    if differing and not settings.allow_mismatch:
        raise ComparisonError("these runs differ in more than the model:\n  " + "\n  ".join(differing))

    counter = TokenCounter(settings.tokenizer) if settings.tokenizer else None
    subjects = _corrected(
        [
            compare_subject(
                task,
                _side(base, base.run.tasks[task], metric, counter),
                _side(edited, edited.run.tasks[task], metric, counter),
                pairings[task].pairs,
                settings,
            )
            for task in tasks.common
        ],
        settings,
    )
    counts = Counter(subject.verdict for subject in subjects)
    paired = [task for task, found in pairings.items() if found.pairs]
    return Comparison(
        base=_about(base),
        edited=_about(edited),
        metric=metric,
        test=settings.test,
        correction=settings.correction,
        alpha=settings.alpha,
        power=POWER,
        draws=settings.draws,
        seed=settings.seed,
        subjects=tuple(subjects),
        groups=_groups(base, edited, metric, pairings, settings),
        improved=counts["improved"],
        degraded=counts["degraded"],
        unchanged=counts["unchanged"],
        untested=counts["untested"],
        mismatches=tuple(differing),
        notes=(
            *format_notes(base.run, edited.run, metric, settings.alpha, subjects),
            *conflict_notes(subjects, settings.alpha),
            *_unpaired(base, edited, tasks.common),
            *unchecked(base.run, edited.run, tasks.common, paired),
        ),
    )


def _side(side: Evaluation, task: TaskRun, metric: str, counter: TokenCounter | None) -> SideOfSubject:
    samples = side.read(task.name, metric)
    # lm-eval before 0.4.13 counts all problems of a task where --samples chose some.
    n = len(samples.rows) or task.n
    return SideOfSubject(task.scores[metric], n, measure(task, metric, samples, counter), task.dataset)


def _groups(
    base: Evaluation,
    edited: Evaluation,
    metric: str,
    pairings: Mapping[str, Pairing],
    settings: Settings,
) -> tuple[Subject, ...]:
    """lm-eval's own aggregates, and the pairs of all their tasks together."""
    found = []
    for name in common_groups(base.run, edited.run, metric, pairings):
        one, other = _group_side(base, name, metric), _group_side(edited, name, metric)
        pairs = [both for task in base.run.leaves(name) for both in pairings[task].pairs]
        # Only where the group's score is the mean over all its problems, every one of them paired.
        together = len(pairs) == one.n and _is_mean_difference(pairs, other.score.value - one.score.value)
        found.append(compare_subject(name, one, other, pairs if together else [], settings))
    return tuple(found)


def _group_side(side: Evaluation, name: str, metric: str) -> SideOfSubject:
    group = side.run.groups[name]
    measures = measure(group, metric, Samples(side.run.path, ()), None)
    return SideOfSubject(group.scores[metric], group_size(side.run, group), measures)


def _is_mean_difference(pairs: Sequence[Pair], delta: float) -> bool:
    total = sum(edited.score - base.score for base, edited in pairs)
    return bool(pairs) and abs(total / len(pairs) - delta) < 1e-9


def _corrected(subjects: Sequence[Subject], settings: Settings) -> list[Subject]:
    """Fill in what depends on all subjects together; those without a p take no part."""
    p_values = [subject.p for subject in subjects if subject.p is not None]
    adjusted = iter(CORRECTIONS[settings.correction].adjust(p_values))
    found = []
    for subject in subjects:
        p = None if subject.p is None else next(adjusted)
        holds = subject.verdict in ("improved", "degraded") and p is not None and p < settings.alpha
        found.append(subject.model_copy(update={"p_adjusted": p, "holds": holds}))
    return found


def _unpaired(base: Evaluation, edited: Evaluation, tasks: Sequence[str]) -> list[str]:
    """Why tasks could not be paired although samples are there."""
    found = []
    for task in tasks:
        reasons = {side.label: side.samples[task].reason for side in (base, edited)}
        if any(side.samples[task].path.exists() for side in (base, edited)):
            found += [f"{task}: not paired, {why} in {who}." for who, why in reasons.items() if why]
    return found


def _about(side: Evaluation) -> Side:
    run = side.run
    return Side(label=side.label, model=run.model, results=run.path.name, lm_eval_version=run.lm_eval_version)
