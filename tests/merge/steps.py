"""Blocks that are killed, or joined by a second process, at one of their changes of the disk."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import pytest

_STEPS = (
    "copy_file_range", "fchmod", "ftruncate", "fsync", "link", "mkdir", "pwrite", "rename", "replace",
    "rmdir", "unlink", "write",
)  # fmt: skip


class Killed(BaseException):
    """What no handler of the software outlives: from then on nothing reaches the disk."""


@contextmanager
def before_steps(come: Callable[[int], None]) -> Iterator[None]:
    """Have ``come`` called with its number before each change of the disk in the block."""
    numbers, real = count(1), {name: getattr(os, name) for name in _STEPS}

    def counted(name: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            come(next(numbers))
            return real[name](*args, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in _STEPS:
            patch.setattr(os, name, counted(name))
        yield


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """End the block at its ``step``-th change of the disk, and let nothing after that reach it."""

    def come(number: int) -> None:
        if number >= step:
            raise Killed

    with suppress(Killed), before_steps(come):
        yield


@contextmanager
def joined_at(step: int, second: Callable[[], None]) -> Iterator[None]:
    """Have a second process do all it does at the ``step``-th change of the disk in the block.

    Locks are held by open files, not by processes: to them a call from inside is another process.
    """
    joined = False

    def come(number: int) -> None:
        nonlocal joined
        if number >= step and not joined:
            joined = True
            second()

    with before_steps(come):
        yield
