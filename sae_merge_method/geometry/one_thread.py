"""Hold BLAS or torch to one thread while a result is computed that must not depend on how many there are.

The last bits of a matrix product depend on the order of its sums, and BLAS shares the work out by
the number of its threads: one machine would give two results under two settings of
``OMP_NUM_THREADS``, and so it is with torch. Whoever wants several cores works on several tensors at once.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

LOG = logging.getLogger(__name__)

_LOCK = Lock()
_INSIDE: list[Any] = []
"""One entry for each block that is open; the first holds the limit."""


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within the block, NumPy's and SciPy's BLAS run on one thread, whichever thread calls them.

    The setting is the process's own, and threadpoolctl lets one thread alone change it. So threads
    that work together begin theirs inside a block of the thread that started them.
    """
    with _LOCK:
        _INSIDE.append(None if _INSIDE else _limited())
    try:
        yield
    finally:
        with _LOCK:
            # The one with the limit leaves last, in whichever order the blocks end.
            limit = _INSIDE.pop() if len(_INSIDE) > 1 else _INSIDE.pop(0)
            if limit is not None:
                limit.restore_original_limits()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Within the block, torch works on one thread where this thread calls it, or one that begins within."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _blas() -> Any:
    """NumPy's and SciPy's; looked for once a process, for all its libraries are gone through."""
    import scipy.linalg  # noqa: F401  (it brings a BLAS of its own, which must be there to be limited)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def _limited() -> Any:
    blas = _blas()
    limit = blas.limit(limits=1)
    if any(library.num_threads != 1 for library in blas.lib_controllers):
        LOG.warning("BLAS cannot be held to one thread: the last bits may depend on how many it has")
    return limit
