"""What a reader of a comparison has to know beside its numbers, in plain sentences."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sae_merge_method.artifacts.comparison import Subject
from sae_merge_method.artifacts.lm_eval_results import EvalRun, TaskRun
from sae_merge_method.compare.answers import Pairing
from sae_merge_method.compare.evaluation import Evaluation
from sae_merge_method.reports.numbers import amount, change
from sae_merge_method.statistics.differences import z_unpooled
from sae_merge_method.statistics.verdicts import IMPROVED


def notes(
    base: Evaluation,
    edited: Evaluation,
    metric: str,
    alpha: float,
    subjects: Sequence[Subject],
    pairings: Mapping[str, Pairing],
) -> Iterator[str]:
    """All there is to know, what concerns the verdicts first.

    Args:
        base: Before the edit.
        edited: After it.
        metric: lm-eval's key of the score that is compared.
        alpha: Level of the tests.
        subjects: Their verdicts.
        pairings: The answers of both to every subject.
    """
    yield from _format_learned(base.run, edited.run, metric, alpha, subjects)
    yield from _tests_disagree(subjects, alpha)
    yield from _unpaired(base, edited, metric, pairings)
    yield from _unchecked(base.run, edited.run, pairings)


_VERIFIER = "math_verify"


def _format_learned(
    base: EvalRun, edited: EvalRun, metric: str, alpha: float, subjects: Sequence[Subject]
) -> Iterator[str]:
    """Where ``exact_match`` improves and ``math_verify`` does not: format, not maths.

    ``exact_match`` wants the answer in one wording, ``math_verify`` takes it in any, so what only the first
    one sees is that the wording was learned.
    """
    name, _, filter_name = metric.partition(",")
    key = f"{_VERIFIER},{filter_name}"
    if name != "exact_match":
        return
    for subject in subjects:
        one, other = (run.tasks[subject.task] for run in (base, edited))
        if subject.verdict != IMPROVED or key not in one.scores or key not in other.scores:
            continue
        before, after = one.scores[key], other.scores[key]
        test = z_unpooled(before.value, before.stderr, after.value, after.stderr, subject.n)
        if test.p is None or test.p >= alpha or after.value <= before.value:
            p = "untested" if test.p is None else f"p {test.p:.2g}"
            yield (
                f"{subject.task}: format, not maths? {name} moves by {amount(subject.delta, share=True)}, "
                f"{_VERIFIER} by {change(after.value - before.value, share=True)} ({p})."
            )


def _tests_disagree(subjects: Sequence[Subject], alpha: float) -> Iterator[str]:
    """Where the paired tests and the chosen one do not agree."""
    for subject in subjects:
        if subject.paired is None or subject.p is None or subject.paired.mcnemar_p is None:
            continue
        if (subject.p < alpha) != (subject.paired.mcnemar_p < alpha):
            yield (
                f"{subject.task}: the tests disagree, p {subject.p:.2g} but paired by problem (McNemar) "
                f"p {subject.paired.mcnemar_p:.2g}."
            )


def _unpaired(base: Evaluation, edited: Evaluation, metric: str, tasks: Iterable[str]) -> Iterator[str]:
    """Why tasks could not be paired although samples are there."""
    for task in tasks:
        sides = [(side.label, side.samples(task, metric)) for side in (base, edited)]
        if any(samples.path.exists() for _, samples in sides):
            for label, samples in sides:
                if samples.reason:
                    yield f"{task}: not paired, {samples.reason} in {label}."


def _unchecked(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> Iterator[str]:
    """What could not be compared between the runs: files do not say it, or problems were left out."""
    runs = {task: (base.tasks[task], edited.tasks[task]) for task in pairings}
    # Prompts of paired problems were compared one by one.
    unhashed = [
        both
        for task, both in runs.items()
        if any(run.task_hash is None for run in both) and not pairings[task].pairs
    ]
    if unhashed:
        yield "Prompts were not compared: that takes runs with --log_samples on both sides."
    if any(run.dataset is None for both in unhashed for run in both):
        yield "Data sets were not compared: not both results files name them."
    short = [task for task, both in runs.items() if any(map(_is_limited, both))]
    if short:
        yield f"Not all problems were evaluated (--limit) in {', '.join(short)}."


def _is_limited(task: TaskRun) -> bool:
    return task.n is not None and task.n_original is not None and task.n < task.n_original
