"""Several processes that this one starts on one work, and waits for: ``--workers 2`` in torchrun's place.

Each is a fresh interpreter whose environment says what torchrun's would, so that ``join_workers`` has them
meet. The first shows what it does; what the others print is kept for the message of one that dies. Whichever
fails first ends them all, and what it raised is raised here, once.

torch's own launchers (``torch.distributed.run``, ``torch.multiprocessing.spawn``) are not called: they answer
a misspelt file with two tracebacks, and take whom the failed one left waiting for the one that failed.
"""

import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from sae_merge_method.errors import SaeMergeError, UsageError
from sae_merge_method.places import Place, WorkerSettings, places_here
from sae_merge_method.processes import Spawned, how_it_ended, live_with_parent, log_to, spawned
from sae_merge_method.workers import LostWorkerError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

T = TypeVar("T")

_HERE = "127.0.0.1"
_TIME_TO_TIDY = 15.0
"""Seconds that processes have to take back what is half-written, once they are told to end."""


class WorkerError(SaeMergeError):
    """A process that shared the work died without a word, or with one that pickle cannot carry."""


class _ThereError(Exception):
    """Where in its process an error arose: a traceback, as text."""


@dataclass(frozen=True)
class _Answer:
    """How the work of one process ended."""

    result: Any = None
    error: Exception | None = None
    trace: str = ""


class _Worker:
    """One of the processes."""

    def __init__(self, spawned: Spawned, name: str, log: Path) -> None:
        self.process, self.pipe = spawned
        self._name, self._log = name, log

    def answer(self) -> _Answer:
        """What it sent, or how it died."""
        try:
            answer: _Answer = self.pipe.recv()
            return answer
        except (EOFError, OSError):
            said = self._last_words()
            how = f"{self._name} ended with {how_it_ended(self.process)}"
            return _Answer(error=WorkerError(f"{how}: {said}" if said else how))

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""


def run_together(call: Callable[[], T], asked: WorkerSettings, begin: Callable[[], None]) -> T:
    """Do some work in this process, or in as many as are asked for.

    Args:
        call: The work, which meets the others by ``join_workers``; a partial of a module's function, for
            pickle carries it.
        asked: How many processes, and where; where only one is, without GPUs of its own, it is this one.
        begin: Called in the first process that is started, ahead of the work: it has a log to show. Pickle
            carries it too.

    Returns:
        What the call returned in the first process.

    Raises:
        UsageError: A launcher has started this process, as one of several.
        WorkerError: A process died.
        Exception: What the call raised in the process that failed.
    """
    places = places_here(asked)
    if len(places) == 1 and places[0].gpus is None:
        return call()
    size = os.environ.get("WORLD_SIZE", "1")
    if size != "1":
        raise UsageError(
            f"torchrun or its like has started {size} processes: start them so, or by --workers and --gpus"
        )
    from torch.distributed.elastic.utils.distributed import create_c10d_store

    # Where the processes look each other up, as they do in torchrun: the port is taken before it is told.
    store = create_c10d_store(is_server=True, server_addr=_HERE, server_port=0, wait_for_workers=False)
    sent = pickle.dumps((call, begin))
    workers: list[_Worker] = []
    with TemporaryDirectory(prefix="sae-merge-") as logs:
        try:
            for place in places:
                log = Path(logs, f"worker-{place.number}.log")
                environment = _environment(place, len(places), store.port)
                with spawned(_work, environment, log if place.number else None, sent) as started:
                    name = f"process {place.number + 1} of {len(places)}"
                    workers.append(_Worker(started, name, log))
            result: T = _first_result(workers)
            for worker in workers:
                worker.process.join()
        finally:
            _end(workers)
    return result


def _environment(place: Place, size: int, port: int) -> dict[str, str]:
    """What torchrun tells a process; GPUs of its own are all that it sees, as of one alone on its machine."""
    is_apart = place.gpus is not None
    return place.environment() | {
        "RANK": str(place.number),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": "0" if is_apart else str(place.number),
        "LOCAL_WORLD_SIZE": "1" if is_apart else str(size),
        "MASTER_ADDR": _HERE,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }


def _first_result(workers: Sequence[_Worker]) -> Any:
    """What the first process returned, once all have ended well."""
    waiting, result, lost = list(workers), None, None
    while waiting:
        for pipe in connection.wait([worker.pipe for worker in waiting]):
            worker = next(worker for worker in waiting if worker.pipe is pipe)
            waiting.remove(worker)
            answer = worker.answer()
            if isinstance(answer.error, LostWorkerError):
                lost = lost or answer.error  # whom it has lost says more, and may be slower to say it
            elif answer.error is not None:
                raise answer.error from _ThereError(answer.trace)
            elif worker is workers[0]:
                result = answer.result
    if lost is not None:
        raise lost
    return result


def _end(workers: Sequence[_Worker]) -> None:
    """End what still runs: asked to, it tidies up; what does not hear is killed, and can be gone on with."""
    for worker in workers:
        worker.process.terminate()
    until = time.monotonic() + _TIME_TO_TIDY
    try:
        for worker in workers:
            worker.process.join(max(0.0, until - time.monotonic()))
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()


def _work(
    environment: Mapping[str, str], log: Path | None, sent: bytes, pipe: "Connection[_Answer, None]"
) -> None:
    """A process' life; in the process."""
    try:
        live_with_parent()
        signal.signal(signal.SIGTERM, _interrupt)
        if log is not None:
            log_to(log)
        # Before anything is imported that reads it: so the work comes as bytes.
        os.environ.update(environment)
        answer = _answer(sent, is_first=log is None)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends by itself now, and leaves nothing behind
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(128 + signal.SIGTERM)  # whoever told us to end says so to the user
    with suppress(OSError):
        pipe.send(answer)


def _answer(sent: bytes, *, is_first: bool) -> _Answer:
    """Do the work."""
    try:
        call, begin = pickle.loads(sent)
        if is_first:
            begin()
        result = call()
        return _Answer(result if is_first else None)
    except Exception as error:
        # Ours or a host's: whatever it is, it is raised anew where the command was started.
        return _Answer(error=_carried(error), trace=traceback.format_exc())


def _carried(error: Exception) -> Exception:
    """The error, or its words where it does not come out of pickle as it went in."""
    try:
        same = type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:  # pickle calls the error's own class, which may raise whatever it likes
        same = False
    return error if same else WorkerError(f"{type(error).__name__}: {error}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    """What tidies up after Ctrl-C does so after SIGTERM too."""
    raise KeyboardInterrupt
