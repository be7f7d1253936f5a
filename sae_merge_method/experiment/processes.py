"""Arms run by processes of this machine, each with its own import of lm-eval and, where told, its GPUs."""

import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process, resource_tracker
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.experiment.worker import ArmJob, ArmRunner, Outcome, Setup, Underway
from sae_merge_method.files.interrupts import HAS_MASK, interrupts_wait

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

LOGS_FOLDER = "logs"


@dataclass(frozen=True)
class Place:
    """Where one worker runs."""

    number: int
    gpus: str | None = None
    """CUDA_VISIBLE_DEVICES of the worker; None leaves it as it is."""
    threads: int | None = None
    """OMP_NUM_THREADS of the worker; None leaves it as it is."""


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: "Connection[ArmJob | None, Outcome | Underway]"
    log: Path
    place: Place
    arm: str = ""


def run_in_processes(
    setup: Setup, jobs: Sequence[ArmJob], tell: Callable[[Underway], None], places: Sequence[Place]
) -> Generator[Outcome, None, None]:
    """Run arms, as many at a time as there are places; outcomes come as they are known.

    A worker that dies takes down its arm alone, and is replaced. All workers end with the
    iterator, and with this process however it ends.
    """
    waiting = deque(jobs)
    busy: list[_Worker] = []
    try:
        for place in places[: len(jobs)]:
            _give(_start(setup, place, busy), waiting.popleft())
        while busy:
            for pipe in connection.wait([worker.pipe for worker in busy]):
                worker = next(worker for worker in busy if worker.pipe is pipe)
                outcome, alive = _receive(worker)
                if isinstance(outcome, Underway):
                    tell(outcome)
                    continue
                # The next arm is given out before this one is told: the reader may end the iterator.
                if waiting and alive:
                    _give(worker, waiting.popleft())
                else:
                    busy.remove(worker)
                    if waiting:
                        _give(_start(setup, worker.place, busy), waiting.popleft())
                    elif alive:
                        _end(worker)
                yield outcome
    finally:
        for worker in busy:
            worker.process.kill()
        for worker in busy:
            worker.process.join()


def _start(setup: Setup, place: Place, busy: list[_Worker]) -> _Worker:
    # A fresh interpreter: a forked one would inherit threads and CUDA's state.
    context = get_context("spawn")
    here, there = context.Pipe()
    log = setup.folder / LOGS_FOLDER / f"worker-{place.number}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    process = context.Process(target=_work, args=(setup, place, log.absolute(), there), daemon=False)
    worker = _Worker(process, here, log, place)
    if HAS_MASK:
        resource_tracker.ensure_running()  # its own start would lift the mask
    with interrupts_wait():
        process.start()
        busy.append(worker)  # from now on we know of it, and end it
    there.close()
    return worker


def _give(worker: _Worker, job: ArmJob) -> None:
    worker.arm = job.arm.name
    with suppress(OSError):  # it died: its silence says so
        worker.pipe.send(job)


def _receive(worker: _Worker) -> tuple[Outcome | Underway, bool]:
    try:
        return worker.pipe.recv(), True
    except (EOFError, OSError):
        worker.process.join()
        code = worker.process.exitcode
        how = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        why = " (killed, perhaps for want of memory)" if how == "SIGKILL" else ""
        return Outcome(worker.arm, f"its worker ended with {how}{why}; the log: {worker.log}"), False


def _end(worker: _Worker) -> None:
    with suppress(OSError):
        worker.pipe.send(None)
    worker.process.join()


def _work(
    setup: Setup, place: Place, log: Path, pipe: "Connection[Outcome | Underway, ArmJob | None]"
) -> None:
    """A worker's life; in the worker."""
    # The parent is told by the terminal, and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _log_to(log)
    if place.gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = place.gpus
    if place.threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(place.threads)
    runner = ArmRunner(setup, _now_and_then(pipe.send))
    while (job := pipe.recv()) is not None:
        pipe.send(runner.run(job))


def _now_and_then(send: Callable[[Underway], None]) -> Callable[[Underway], None]:
    """Send at most once a second: answers to short requests come by the hundred."""
    sent = float("-inf")

    def tell(underway: Underway) -> None:
        nonlocal sent
        now = time.monotonic()
        if now >= sent + 1:
            sent = now
            send(underway)

    return tell


def _end_with_parent() -> None:
    """A killed parent cannot end us: without it nobody would read what we write."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _log_to(log: Path) -> None:
    """Send our log lines and all that hosts print, from C too, into a file."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(handle, stream.fileno())
    os.close(handle)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("sae_merge_method").setLevel(logging.INFO)
