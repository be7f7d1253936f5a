"""Ctrl-C and its like kept waiting while something must not be cut in two."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HAS_MASK = hasattr(signal, "pthread_sigmask")
"""Whether signals can be kept waiting; not on Windows."""

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""How a process is told to end from outside: by Slurm or Kubernetes, by a terminal that goes away."""


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Meet SIGINT and those of :data:`ENDING` only at the end, where this process has handlers for them.

    A process that is started within meets no SIGINT either, until it has learnt to leave them to its
    parent: it inherits the mask. Windows has no masks: Ctrl-C in that moment ends it too.
    """
    waiting: list[int] = []
    # A mask is one thread's: a signal may reach another, and its handler would still run in this one.
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {
        number: handler
        for number in (signal.SIGINT, *ENDING)
        if is_main and callable(handler := signal.getsignal(number))
    }
    for number in handlers:
        signal.signal(number, lambda number, frame: waiting.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if HAS_MASK else ()
    try:
        yield
    finally:
        if HAS_MASK:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for received in waiting[:1]:
        handlers[signal.Signals(received)](received, None)
