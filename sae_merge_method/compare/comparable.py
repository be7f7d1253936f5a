"""Whether two evaluations asked the same questions in the same way: what differs beside the model.

What could not be checked, or differs without changing the questions, is a note (see ``notes``).
"""

import json
from collections.abc import Iterator, Mapping

from sae_merge_method.artifacts.lm_eval_results import EvalRun, TaskRun
from sae_merge_method.compare.answers import Pairing


def mismatches(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> list[str]:
    """All that differs between two runs and could move a score on its own, a line each.

    What lm-eval did not record on one side is not a difference: see :func:`~.notes.unchecked`.

    Args:
        base: Run of the base model.
        edited: Run of the edited model.
        pairings: The answers of both to every task that both have.
    """
    lines = [
        f"{what}: {_show(one)} and {_show(other)}"
        for what, one, other in (
            ("chat template", base.chat_template_hash, edited.chat_template_hash),
            ("system instruction", base.system_instruction_hash, edited.system_instruction_hash),
            ("few-shot examples as turns", base.multiturn, edited.multiturn),
        )
        if one != other
    ]
    for task in pairings:
        lines += [f"{task}: {line}" for line in _task_mismatches(base.tasks[task], edited.tasks[task])]
    for task, pairing in pairings.items():
        lines += [f"{task}: {line}" for line in pairing.mismatches]
    return lines


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


def _show(value: object) -> str:
    """A value as a message shows it: hashes cut to what tells them apart."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    text = json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
    return f"{text[:12]}..." if len(text) == 64 and " " not in text else text
