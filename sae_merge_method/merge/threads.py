"""Run calls on several threads: numpy, hashing and file calls all let go of the interpreter."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def run_all(calls: Iterable[Callable[[], T]], threads: int | None = None) -> list[T]:
    """Results in the order of ``calls``; the first failure, or Ctrl-C, stops what has not begun.

    Args:
        calls: Independent of each other.
        threads: How many at a time; None for one a core we may use.
    """
    with ThreadPoolExecutor(threads or usable_cores()) as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
