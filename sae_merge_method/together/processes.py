"""A fresh interpreter of this machine that works for this one: its start, its log, its end. What it does, and
what goes through the pipe between the two, is for others."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process, resource_tracker
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sae_merge_method.files.interrupts import HAS_MASK, interrupts_wait

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class Spawned(NamedTuple):
    """A process that was started, and this side of the pipe to it."""

    process: SpawnProcess
    pipe: "Connection[Any, Any]"


@contextmanager
def spawned(work: Callable[..., None], *arguments: object) -> Iterator[Spawned]:
    """Start a process. Interrupts wait until the block ends, in which the caller notes down whom to end.

    Args:
        work: What it does, a function of a module; its last argument is its own side of the pipe.
        arguments: The others.
    """
    # A fresh interpreter: a forked one would inherit threads and CUDA's state.
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=work, args=(*arguments, there), daemon=False)
    if HAS_MASK:
        resource_tracker.ensure_running()  # its own start would lift the mask
    with interrupts_wait():
        process.start()
        yield Spawned(process, here)
    there.close()


def how_it_ended(process: SpawnProcess) -> str:
    """How a process ended that has fallen silent, such as ``exit code 1``; waits for that end."""
    process.join()
    code = process.exitcode
    how = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
    return f"{how} (killed, perhaps for want of memory)" if how == "SIGKILL" else how


def live_with_parent() -> None:
    """In a process that was started: leave Ctrl-C to the parent, and end when that one is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot end us: without it nobody would read what we write."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def log_to(log: Path) -> None:
    """Send our log lines and all that hosts print, from C too, into a file."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(handle, stream.fileno())
    os.close(handle)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("sae_merge_method").setLevel(logging.INFO)
