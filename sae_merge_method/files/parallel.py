"""Work on large files: calls on several threads, and a progress bar in bytes that any of them may move.

numpy, hashing and file calls all let go of the interpreter.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from tqdm.auto import tqdm

Advance = Callable[[int], None]
"""Told how many bytes were dealt with."""


@contextmanager
def bytes_bar(total: int, doing: str, *, quiet: bool = False) -> Iterator[Advance]:
    """Yield a function that takes the number of bytes just done; it may be called by any thread.

    Args:
        total: Bytes in all.
        doing: What is going on, in a word.
        quiet: Show nothing, even on a terminal.
    """
    moving = threading.Lock()
    with tqdm(
        total=total, desc=doing, unit="B", unit_scale=True, unit_divisor=1000, disable=True if quiet else None
    ) as bar:

        def advance(done: int) -> None:
            with moving:
                bar.update(done)

        yield advance


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
