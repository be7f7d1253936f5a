"""Whether two evaluations asked the same questions in the same way: what differs beside the model.

What a difference in each field means is the table's, ``conditions``; what could not be checked is a note (see
``notes``).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.compare.answers import Pairing
from sae_merge_method.compare.condition import UNRECORDED, Condition, Effect
from sae_merge_method.compare.conditions import conditions_of


class Differences(NamedTuple):
    """What differs between two runs beside the model, a line each."""

    refused: tuple[str, ...]
    """What changes the measurement."""
    marked: tuple[str, ...]
    """What may move a score."""


def differences(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> Differences:
    """All that differs between two runs and could move a score on its own.

    What lm-eval did not record on one side is not a difference: see ``notes``.

    Args:
        base: Run of the base model.
        edited: Run of the edited model.
        pairings: The answers of both to every task that both have.
    """
    lines: dict[Effect, list[str]] = {effect: [] for effect in Effect}
    for row in conditions_of((base, edited)):
        if row.effect is not Effect.IGNORE:
            lines[row.effect] += _lines(row, base, edited, pairings)
    for task, pairing in pairings.items():
        lines[Effect.REFUSE] += [f"{task}: {line}" for line in pairing.mismatches]
    return Differences(tuple(lines[Effect.REFUSE]), tuple(lines[Effect.MARK]))


def _lines(row: Condition, base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> Iterator[str]:
    """One line where the runs differ in this field; for a field of tasks one a task."""
    scopes = (
        {task: {task: pairing} for task, pairing in pairings.items()} if "*" in row.field else {"": pairings}
    )
    for task, scope in scopes.items():
        one, other = row.value(base, task), row.value(edited, task)
        if one is UNRECORDED or other is UNRECORDED or one == other:
            continue
        # What both wrote down is compared as it stands.
        is_open = not row.recorded_in or not (row.is_recorded(base) and row.is_recorded(edited))
        if is_open and row.settled is not None and row.settled(base, edited, scope):
            continue
        told = [
            _show(value) if row.is_recorded(run) else "not recorded"
            for run, value in ((base, one), (edited, other))
        ]
        yield (
            (f"{task}: " if task else "")
            + f"{row.title}: {' and '.join(told)}"
            + (f" ({row.why})" if row.why else "")
        )


def _show(value: Any) -> str:
    """A value as a message shows it: hashes cut to what tells them apart."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    text = json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else str(value)
    return f"{text[:12]}..." if len(text) == 64 and " " not in text else text
