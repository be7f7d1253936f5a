"""Hold BLAS to one thread while a result is computed that must not depend on how many there are.

The last bits of a matrix product depend on the order of its sums, and BLAS shares the work out by
the number of its threads: one machine would give two results under two settings of
``OMP_NUM_THREADS``. Whoever wants several cores works on several tensors at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

_LOCK = Lock()
_LIMITS: list[Any] = []
_INSIDE = 0


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within the block, every BLAS that is loaded by now runs on one thread; threads may share it.

    The setting is the process's own, so it goes back only when nobody is inside any more.
    """
    global _INSIDE
    from threadpoolctl import ThreadpoolController

    with _LOCK:
        # Anew each time: NumPy and SciPy bring a BLAS each, and one may have been loaded since.
        _LIMITS.append(ThreadpoolController().limit(limits=1, user_api="blas"))
        _INSIDE += 1
    try:
        yield
    finally:
        with _LOCK:
            _INSIDE -= 1
            # Backwards: the first one knows what was set before anybody came.
            while _LIMITS and not _INSIDE:
                _LIMITS.pop().restore_original_limits()
