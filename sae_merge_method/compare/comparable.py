"""Whether two evaluations asked the same questions in the same way, and what a reader has to know."""

import json
from collections.abc import Collection, Iterator, Sequence

from sae_merge_method.artifacts.comparison import Subject
from sae_merge_method.artifacts.lm_eval_results import EvalRun, TaskRun
from sae_merge_method.statistics.differences import z_unpooled


def mismatches(base: EvalRun, edited: EvalRun, tasks: Sequence[str]) -> list[str]:
    """All that differs between two runs and could move a score on its own, a line each.

    What lm-eval did not record on one side is not a difference: see :func:`unchecked`.

    Args:
        base: Run of the base model.
        edited: Run of the edited model.
        tasks: Tasks that both have.
    """
    found = [
        f"{what}: {_show(one)} and {_show(other)}"
        for what, one, other in (
            ("chat template", base.chat_template_hash, edited.chat_template_hash),
            ("system instruction", base.system_instruction_hash, edited.system_instruction_hash),
            ("few-shot examples as turns", base.multiturn, edited.multiturn),
        )
        if one != other
    ]
    for task in tasks:
        found += [f"{task}: {line}" for line in _task_mismatches(base.tasks[task], edited.tasks[task])]
    return found


def unchecked(base: EvalRun, edited: EvalRun, tasks: Sequence[str], paired: Collection[str]) -> list[str]:
    """What could not be compared, or differs without changing the questions, a sentence each.

    Args:
        base: Run of the base model.
        edited: Run of the edited model.
        tasks: Tasks that are compared.
        paired: Those of them whose prompts were compared one by one.
    """
    notes = []
    unhashed = [task for task in tasks if None in (base.tasks[task].task_hash, edited.tasks[task].task_hash)]
    if any(task not in paired for task in unhashed):
        notes.append("Prompts were not compared: that takes runs with --log_samples on both sides.")
    unnamed = [task for task in unhashed if None in (base.tasks[task].dataset, edited.tasks[task].dataset)]
    if any(task not in paired for task in unnamed):
        notes.append("Data sets were not compared: not both results files name them.")
    if base.lm_eval_version != edited.lm_eval_version:
        notes.append(
            f"Scored by different versions of lm-eval, {base.lm_eval_version} and "
            f"{edited.lm_eval_version}: scoring functions may differ."
        )
    short = [task for task in tasks if _is_limited(base.tasks[task]) or _is_limited(edited.tasks[task])]
    if short:
        notes.append(f"Not all problems were evaluated (--limit) in {', '.join(short)}.")
    return notes


def _task_mismatches(base: TaskRun, edited: TaskRun) -> Iterator[str]:
    pairs = (
        ("task version", base.version, edited.version),
        ("sample count", base.n, edited.n),
        ("few-shot examples", base.n_shot, edited.n_shot),
        ("generation settings", base.generation, edited.generation),
        ("data set", base.dataset, edited.dataset),
        ("hash of problems and prompts", base.task_hash, edited.task_hash),
    )
    for what, one, other in pairs:
        if one is not None and other is not None and one != other:
            yield f"{what}: {_show(one)} and {_show(other)}"


def _is_limited(task: TaskRun) -> bool:
    return task.n is not None and task.n_original is not None and task.n < task.n_original


def _show(value: object) -> str:
    """A value as a message shows it: hashes cut to what tells them apart."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    text = json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
    return f"{text[:12]}..." if len(text) == 64 and " " not in text else text


_VERIFIER = "math_verify"


def format_notes(
    base: EvalRun, edited: EvalRun, metric: str, alpha: float, subjects: Sequence[Subject]
) -> Iterator[str]:
    """Where ``exact_match`` improves and ``math_verify`` does not: format, not maths.

    ``exact_match`` wants the answer in one wording, ``math_verify`` takes it in any, so what only
    the first one sees is that the wording was learned.
    """
    name, _, filter_name = metric.partition(",")
    key = f"{_VERIFIER},{filter_name}"
    if name != "exact_match":
        return
    for subject in subjects:
        one, other = (run.tasks[subject.task] for run in (base, edited))
        if subject.verdict != "improved" or key not in one.scores or key not in other.scores:
            continue
        before, after = one.scores[key], other.scores[key]
        test = z_unpooled(before.value, before.stderr, after.value, after.stderr, subject.n)
        if test.p is None or test.p >= alpha or after.value <= before.value:
            p = "untested" if test.p is None else f"p {test.p:.2g}"
            yield (
                f"{subject.task}: format, not maths? {name} moves by {subject.delta * 100:+.1f} points, "
                f"{_VERIFIER} by {(after.value - before.value) * 100:+.1f} ({p})."
            )


def conflict_notes(subjects: Sequence[Subject], alpha: float) -> Iterator[str]:
    """Where the paired tests and the chosen one do not agree."""
    for subject in subjects:
        if subject.paired is None or subject.p is None or subject.paired.mcnemar_p is None:
            continue
        if (subject.p < alpha) != (subject.paired.mcnemar_p < alpha):
            yield (
                f"{subject.task}: the tests disagree, p {subject.p:.2g} but paired by problem (McNemar) "
                f"p {subject.paired.mcnemar_p:.2g}."
            )
