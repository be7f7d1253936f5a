"""How far lm-eval's requests are, told to whoever shows it: its own bars stay dark meanwhile.

Two bars of one thing would write over each other, and lm-eval's are drawn even where nobody watches.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from functools import partial
from typing import Any

Tell = Callable[[int, int], None]
"""Told how many requests are answered, of how many."""

_ANSWERING = ("lm_eval.models.huggingface", "lm_eval.models.vllm_causallms")
"""Where lm-eval draws bars about requests."""
_PREPARING = ("lm_eval.api.task", "lm_eval.api.model")
"""Where it draws others."""


@contextmanager
def watched(tell: Tell) -> Iterator[None]:
    """Within the block, lm-eval tells how far it is in place of drawing bars.

    Args:
        tell: Called after every answer or batch of them.
    """
    tells = {name: partial(_Dark, tell) for name in _ANSWERING}
    tells |= {name: partial(_Dark, lambda _, __: None) for name in _PREPARING}
    # What is not imported draws nothing.
    modules: dict[str, Any] = {name: sys.modules[name] for name in tells if name in sys.modules}
    drawn = {name: module.tqdm for name, module in modules.items()}
    for name, module in modules.items():
        module.tqdm = tells[name]
    try:
        yield
    finally:
        for name, module in modules.items():
            module.tqdm = drawn[name]


class _Dark:
    """Stands where a bar is expected: counts, and draws nothing."""

    def __init__(self, tell: Tell, iterable: Iterable[Any] = (), total: int | None = None, **_: Any) -> None:
        self._tell, self._iterable, self._answered = tell, iterable, 0
        counted = len(iterable) if isinstance(iterable, Sized) else 0
        self._total = counted if total is None else total

    def __iter__(self) -> Iterator[Any]:
        for one in self._iterable:
            yield one
            self.update()

    def update(self, count: int = 1) -> None:
        self._answered += count
        self._tell(self._answered, self._total)

    def close(self) -> None:
        """There is nothing to close."""
