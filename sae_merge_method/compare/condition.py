"""One row of the table of what an evaluation was run under: a field of a results file, and what it decides.

The rows are in ``conditions``; how a value is read where its field alone does not tell, in ``recorded``.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.compare.answers import Pairing
from sae_merge_method.compare.model_arguments import plain_value


class Effect(Enum):
    """What a difference does to a comparison."""

    REFUSE = "refuse"
    """It changes the measurement: there is no comparison unless it is allowed, and then it is marked."""
    MARK = "mark"
    """It may move a score: compared, and marked."""
    IGNORE = "ignore"
    """It cannot change a score, or is the model itself."""


class Unrecorded:
    """Stands for what a file does not say, which is no difference; null is a value."""


UNRECORDED = Unrecorded()

Settled = Callable[[EvalRun, EvalRun, Mapping[str, Pairing]], bool]
Read = Callable[[EvalRun, str], Any]


class Condition(NamedTuple):
    """One field of a results file."""

    field: str
    """Where it stands, names joined by dots; ``*`` stands for each task."""
    title: str
    """As messages call it."""
    effect: Effect
    why: str = ""
    """What a difference does, for messages; empty where the title says it."""
    default: Any = UNRECORDED
    """What a file means that leaves the field out."""
    read: Read | None = None
    """How its value is read where the field alone does not tell; takes the run and the task's name."""
    settled: Settled | None = None
    """Whether something else in both runs shows that this difference came to nothing."""
    recorded_in: tuple[str, ...] = ()
    """Where leaving it out does not mean the default: keys of the file, one of which is there where it was
    recorded at all."""

    def value(self, run: EvalRun, task: str = "") -> Any:
        """What the run says; :data:`UNRECORDED` where it does not."""
        if self.read is not None:
            return self.read(run, task)
        value: Any = run.raw
        for name in self.field.split("."):
            if not isinstance(value, Mapping):
                return UNRECORDED
            value = value.get(task if name == "*" else name, self.default)
        return plain_value(value)

    def is_recorded(self, run: EvalRun) -> bool:
        """Whether the run wrote it down, were it only that there is none."""
        return not self.recorded_in or any(key in run.raw for key in self.recorded_in)
