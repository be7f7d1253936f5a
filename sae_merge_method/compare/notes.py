"""What a reader of a comparison has to know beside its numbers, in plain sentences."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from sae_merge_method.artifacts.lm_eval_results import EvalRun, TaskRun
from sae_merge_method.artifacts.subject import Subject
from sae_merge_method.compare.answers import Pairing, pair
from sae_merge_method.compare.evaluation import Evaluation
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.reports.numbers import amount, change, p_value, score
from sae_merge_method.statistics.evidence import Evidence, Mean
from sae_merge_method.statistics.tests import PAPER, TESTS
from sae_merge_method.statistics.verdicts import IMPROVED


class Compared(NamedTuple):
    """What notes are made from."""

    base: Evaluation
    """Before the edit."""
    edited: Evaluation
    """After it."""
    metric: str
    """lm-eval's key of the score that is compared."""
    rows: Sequence[Subject]
    """Subjects and groups, with their verdicts."""
    evidence: Mapping[str, Evidence]
    """What each of them was tested on."""
    pairings: Mapping[str, Pairing]
    """The answers of both to every subject."""


def notes(compared: Compared, settings: CompareSettings) -> Iterator[str]:
    """All there is to know, what concerns the verdicts first."""
    base, edited = compared.base, compared.edited
    yield from _same_model(base, edited, compared.pairings)
    yield from _answers_found(compared.rows)
    yield from _format_learned(compared, settings)
    yield from _tests_disagree(compared, settings.alpha)
    yield from _unpaired(base, edited, compared.metric, compared.pairings)
    yield from _unchecked(base, edited, compared.pairings)


def _same_model(base: Evaluation, edited: Evaluation, pairings: Mapping[str, Pairing]) -> Iterator[str]:
    """Where nothing seems to have been edited."""
    one, other = base.run, edited.run
    if one.path.resolve() == other.path.resolve():
        yield f"Both sides are the same evaluation, {one.path.name}: nothing can differ."
        return
    if one.model == other.model and _arguments(one) == _arguments(other):
        yield f"Both sides evaluated a model of the same name, {one.model}: is one of them the edited one?"
    pairs = [both for pairing in pairings.values() for both in pairing.pairs]
    if pairs and all(before.text == after.text is not None for before, after in pairs):
        rescored = sum(before.score != after.score for before, after in pairs)
        yield "Every answer is the same on both sides, word for word: " + (
            f"the edit may not be there, and {rescored} are scored otherwise, so the scoring differs."
            if rescored
            else "the edit may not be there."
        )


def _arguments(run: EvalRun) -> object:
    config = run.raw.get("config")
    return (config.get("model_args") if isinstance(config, Mapping) else None) or {}


_FOUND_MORE = 0.1
"""Change of the share of answers found from which on a reader is told: it can be all of a score's change."""


def _answers_found(rows: Sequence[Subject]) -> Iterator[str]:
    """Where many more, or fewer, problems got a final answer at all, over the most problems there are."""
    largest = max(rows, key=lambda row: row.n or 0)
    before, after = largest.base_measures.no_answer, largest.edited_measures.no_answer
    if before is not None and after is not None and abs(after - before) >= _FOUND_MORE:
        yield (
            f"{largest.task}: a final answer was found to {score(1 - before, True)} of the problems before "
            f"the edit and to {score(1 - after, True)} after it, so a change of the score may be one of form."
        )


_VERIFIER = "math_verify"


def _format_learned(compared: Compared, settings: CompareSettings) -> Iterator[str]:
    """Where ``exact_match`` improves and ``math_verify`` does not: format, not ability.

    ``exact_match`` wants the answer in one wording, ``math_verify`` takes it in any, so what only the first
    one sees is that the wording was learned. Both are put to the same test. That one movement is significant
    and the other is not does not tell them apart: where samples pair them, their difference is tested too.
    """
    name, _, filter_name = compared.metric.partition(",")
    key = f"{_VERIFIER},{filter_name}"
    if name != "exact_match":
        return
    for subject in compared.rows:
        evidence = compared.evidence[subject.task]
        verified = _evidence(compared.base, compared.edited, subject.task, key)
        if subject.verdict != IMPROVED or verified is None:
            continue
        moved = verified.edited.value - verified.base.value
        p = TESTS[settings.test].of(verified).p
        is_shown = p is not None and p < settings.alpha and moved > 0
        if is_shown or moved >= subject.delta or not _apart(evidence, verified, settings.alpha):
            continue
        yield (
            f"{subject.task}: format, not ability? {name} moves by {amount(subject.delta, share=True)}, "
            f"{_VERIFIER} by {change(moved, share=True)} "
            f"({'not tested' if p is None else f'p {p_value(p)}'})."
        )


def _evidence(base: Evaluation, edited: Evaluation, task: str, key: str) -> Evidence | None:
    """Of another metric of a task; None where a side has no such score."""
    runs = [side.run.tasks.get(task) for side in (base, edited)]
    scores = [run.scores[key] for run in runs if run is not None and key in run.scores]
    if len(scores) < 2:
        return None
    sides = [side.samples(task, key) for side in (base, edited)]
    before, after = (
        Mean(score.value, score.stderr, run.n if run is not None else None)
        for score, run in zip(scores, runs, strict=True)
    )
    pairs = pair(*sides).pairs
    return Evidence(before, after, [one.scores for one in pairs], [one.base.doc_hash for one in pairs])


def _apart(exact: Evidence, verified: Evidence, alpha: float) -> bool:
    """Whether two metrics moved differently; taken to be so where no samples pair them."""
    if not exact.pairs or list(exact.problems) != list(verified.problems):
        return True
    both = list(zip(verified.differences, exact.differences, strict=True))
    test = TESTS["permutation"].of(replace(exact, pairs=both))
    return test.p is not None and test.p < alpha


def _tests_disagree(compared: Compared, alpha: float) -> Iterator[str]:
    """Where a verdict's test and the paper's are on two sides of alpha; or the paper's and what fits."""
    for row in compared.rows:
        evidence = compared.evidence[row.task]
        other = TESTS["auto"].for_this(evidence) if row.test == PAPER else TESTS[PAPER]
        p = other.of(evidence).p
        if row.p is None or p is None or (row.p < alpha) == (p < alpha):
            continue
        whose = ", the paper's" if other.name == PAPER else ""
        yield (
            f"{row.task}: the tests disagree, p {p_value(row.p)} by the {TESTS[row.test].title}, but "
            f"{p_value(p)} by the {other.title}{whose}."
        )


def _unpaired(base: Evaluation, edited: Evaluation, metric: str, tasks: Iterable[str]) -> Iterator[str]:
    """Why tasks could not be paired although samples are there."""
    for task in tasks:
        sides = [(side.label, side.samples(task, metric)) for side in (base, edited)]
        if any(samples.path.exists() for _, samples in sides):
            for label, samples in sides:
                if samples.reason:
                    yield f"{task}: not paired, {samples.reason} in {label}."


def _unchecked(base: Evaluation, edited: Evaluation, pairings: Mapping[str, Pairing]) -> Iterator[str]:
    """What could not be compared between the runs: files do not say it, or problems were left out."""
    runs = {task: (base.run.tasks[task], edited.run.tasks[task]) for task in pairings}
    # Prompts of paired problems were compared one by one, where both sides' samples tell them.
    unhashed = [
        task
        for task, both in runs.items()
        if any(run.task_hash is None for run in both) and not pairings[task].prompts_known
    ]
    unpaired = [task for task in unhashed if not pairings[task].pairs]
    if unpaired:
        yield "Prompts were not compared: that takes runs with --log_samples on both sides."
    if untold := [task for task in unhashed if pairings[task].pairs]:
        names = ", ".join(untold)
        yield f"Prompts were not compared in {names}: not both sides' samples hold them or their hashes."
    if any(run.dataset is None for task in unpaired for run in runs[task]):
        yield "Data sets were not compared: not both results files name them."
    if objects := [side.label for side in (base, edited) if _is_object(side.run)]:
        names = " and of ".join(objects)
        yield f"How the model of {names} was loaded was not compared: it was handed over as an object."
    short = [task for task, both in runs.items() if any(map(_is_limited, both))]
    if short:
        yield f"Not all problems were evaluated (--limit) in {', '.join(short)}."


def _is_limited(task: TaskRun) -> bool:
    return task.n is not None and task.n_original is not None and task.n < task.n_original


def _is_object(run: EvalRun) -> bool:
    """Whether lm-eval was given a loaded model: then its arguments are null, and not empty."""
    config = run.raw.get("config")
    return isinstance(config, Mapping) and config.get("model_args", {}) is None
