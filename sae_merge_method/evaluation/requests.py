"""What a model is asked: problems loaded and put into words once for all models that share a tokenizer.

That takes as long as a small model takes to answer. Arms of an experiment are asked the same, and so are
given the same requests, without answers yet; all else is as if they were built anew.
"""

import copy
import random
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from lm_eval.api.model import TemplateLM
    from lm_eval.tasks import TaskManager


class Requests:
    """The requests of one evaluation's tasks."""

    def __init__(self, manager: "TaskManager") -> None:
        """Nothing is loaded yet; ``manager`` is lm-eval's, which knows the tasks."""
        self._manager = manager
        self._built: _Built | None = None

    def of(self, lm: "TemplateLM") -> "TaskManager":
        """lm-eval's manager for a model: of the last model's tasks where the two share a tokenizer."""
        tokenizer = getattr(lm, "tokenizer", None)
        if tokenizer is None:
            return self._manager
        if self._built is None or self._built.tokenizer is not tokenizer:
            self._built = _Built(tokenizer, _building_once(self._manager))
        return self._built.manager


class _Built(NamedTuple):
    """Tasks whose requests stay."""

    tokenizer: Any
    """Of the models that they are built for: a chat template is its affair."""
    manager: "TaskManager"
    """Gives the same tasks whenever it is asked."""


def _building_once(manager: "TaskManager") -> "TaskManager":
    once = copy.copy(manager)
    loaded: list[Any] = []

    def load(tasks: Any) -> Any:
        if not loaded:  # when lm-eval asks, which has then seeded what a task may draw from
            loaded.append(manager.load(tasks))
            for task in loaded[0]["tasks"].values():
                task.build_all_requests = _BuiltOnce(task)
        return loaded[0]

    once.load = load
    return once


class _BuiltOnce:
    """For a task's own building of requests: they are built once, and asked again without answers."""

    def __init__(self, task: Any) -> None:
        self._task, self._build = task, task.build_all_requests
        self._drawn: _Drawn | None = None

    def __call__(self, **how: Any) -> None:
        if self._drawn is None:
            self._build(**how)
            self._drawn = _Drawn.now()
            return
        for request in self._task.instances:
            request.resps, request.filtered_resps = [], {}
        self._drawn.restore()  # as the building would leave it: tasks may score with what is drawn after it


class _Drawn(NamedTuple):
    """How far the generators of random numbers that lm-eval seeds have come."""

    python: Any
    numpy: Any
    torch: Any

    @classmethod
    def now(cls) -> "_Drawn":
        import numpy as np
        import torch

        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state())

    def restore(self) -> None:
        import numpy as np
        import torch

        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
