"""Arms run by processes of this machine, each with its own import of lm-eval and, where told, its GPUs."""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.experiment.worker import ArmEnd, ArmJob, ArmRunner, Setup, Underway
from sae_merge_method.together.places import Place
from sae_merge_method.together.processes import how_it_ended, live_with_parent, log_to, spawned

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

LOGS_FOLDER = "logs"


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: "Connection[ArmJob | None, ArmEnd | Underway]"
    log: Path
    place: Place
    arm: str = ""


def run_in_processes(
    setup: Setup, jobs: Sequence[ArmJob], tell: Callable[[Underway], None], places: Sequence[Place]
) -> Generator[ArmEnd, None, None]:
    """Run arms, as many at a time as there are places; outcomes come as they are known.

    A worker that dies takes down its arm alone, and is replaced. All workers end with the
    iterator, and with this process however it ends.
    """
    setup = replace(setup, workers=min(len(places), len(jobs)))
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
    log = setup.folder / LOGS_FOLDER / f"worker-{place.number}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with spawned(_work, setup, place, log.absolute()) as (process, pipe):
        worker = _Worker(process, pipe, log, place)
        busy.append(worker)  # from now on we know of it, and end it
    return worker


def _give(worker: _Worker, job: ArmJob) -> None:
    worker.arm = job.arm.name
    with suppress(OSError):  # it died: its silence says so
        worker.pipe.send(job)


def _receive(worker: _Worker) -> tuple[ArmEnd | Underway, bool]:
    try:
        return worker.pipe.recv(), True
    except (EOFError, OSError):
        how = how_it_ended(worker.process)
        return ArmEnd(worker.arm, f"its worker ended with {how}; the log: {worker.log}"), False


def _end(worker: _Worker) -> None:
    with suppress(OSError):
        worker.pipe.send(None)
    worker.process.join()


def _work(
    setup: Setup, place: Place, log: Path, pipe: "Connection[ArmEnd | Underway, ArmJob | None]"
) -> None:
    """A worker's life; in the worker."""
    live_with_parent()
    log_to(log)
    os.environ.update(place.environment())
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
