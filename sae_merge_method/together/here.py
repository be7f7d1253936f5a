"""Processes of this machine on one work.

The first shows what it does; what the others print is kept for the message of one that dies.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import TYPE_CHECKING

from sae_merge_method.together.answers import TIME_TO_TIDY, Answer, WorkerError, answer_to, open_meeting
from sae_merge_method.together.places import Place
from sae_merge_method.together.processes import Spawned, how_it_ended, live_with_parent, log_to, spawned

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class _Worker:
    """One of the processes."""

    def __init__(self, spawned: Spawned, name: str, log: Path) -> None:
        self.process, self.pipe = spawned
        self._name, self._log = name, log

    def answer(self) -> Answer:
        """What it sent, or how it died."""
        try:
            answer: Answer = self.pipe.recv()
            return answer
        except (EOFError, OSError):
            said = self._last_words()
            how = f"{self._name} ended with {how_it_ended(self.process)}"
            return Answer(error=WorkerError(f"{how}: {said}" if said else how))

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""


@contextmanager
def working_here(work: bytes, places: Sequence[Place]) -> Iterator[Iterator[tuple[int, Answer]]]:
    """Have a process in each place do the work; yields their answers by rank, as they come.

    All have ended when the block has, and with this process however it ends.
    """
    meeting, _open = open_meeting("127.0.0.1", len(places))
    workers: list[_Worker] = []
    with TemporaryDirectory(prefix="sae-merge-") as logs:
        try:
            for place in places:
                log = Path(logs, f"worker-{place.number}.log")
                own = meeting.environment(place.number, is_apart=place.gpus is not None)
                told = place.environment() | own
                with spawned(_work, told, log if place.number else None, work) as started:
                    workers.append(_Worker(started, f"process {place.number + 1} of {len(places)}", log))
            yield _answers(workers)
            for worker in workers:
                worker.process.join()
        finally:
            _end(workers)


def _answers(workers: Sequence[_Worker]) -> Iterator[tuple[int, Answer]]:
    waiting = list(range(len(workers)))
    while waiting:
        for pipe in connection.wait([workers[rank].pipe for rank in waiting]):
            rank = next(rank for rank in waiting if workers[rank].pipe is pipe)
            waiting.remove(rank)
            yield rank, workers[rank].answer()


def _end(workers: Sequence[_Worker]) -> None:
    """End what still runs: asked to, it tidies up; what does not hear is killed, and can be gone on with."""
    for worker in workers:
        worker.process.terminate()
    until = time.monotonic() + TIME_TO_TIDY
    try:
        for worker in workers:
            worker.process.join(max(0.0, until - time.monotonic()))
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()


def _work(
    environment: Mapping[str, str], log: Path | None, work: bytes, pipe: "Connection[Answer, None]"
) -> None:
    """A process' life; in the process."""
    try:
        live_with_parent()
        signal.signal(signal.SIGTERM, _interrupt)
        if log is not None:
            log_to(log)
        # Before anything is imported that reads it: so the work comes as bytes.
        os.environ.update(environment)
        answer = answer_to(work, is_first=log is None)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends by itself now, and leaves nothing behind
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(128 + signal.SIGTERM)  # whoever told us to end says so to the user
    with suppress(OSError):
        pipe.send(answer)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """What tidies up after Ctrl-C does so after SIGTERM too."""
    raise KeyboardInterrupt
