"""What a process that shares some work is told, what it answers, and what all answers come to."""

import pickle
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.together.workers import LostWorkerError

TIME_TO_TIDY = 15.0
"""Seconds to take back what is half-written, once one process has failed or all are told to end."""


class WorkerError(SaeMergeError):
    """A process that shared the work died without a word, or with one that pickle cannot carry."""


class _ThereError(Exception):
    """Where in its process an error arose: a traceback, as text."""


@dataclass(frozen=True)
class Answer:
    """How the work of one process ended."""

    result: Any = None
    """What the first process comes to; the others' stays with them."""
    error: Exception | None = None
    trace: str = ""


class Meeting(NamedTuple):
    """Where processes look each other up, and how many they are."""

    address: str
    port: int
    size: int

    def environment(self, rank: int, *, is_apart: bool) -> dict[str, str]:
        """What torchrun tells a process.

        Args:
            rank: The process.
            is_apart: Whether it sees its own GPUs alone, as one that is alone on its machine.
        """
        return {
            "RANK": str(rank),
            "WORLD_SIZE": str(self.size),
            "LOCAL_RANK": "0" if is_apart else str(rank),
            "LOCAL_WORLD_SIZE": "1" if is_apart else str(self.size),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
        }


def open_meeting(address: str, size: int) -> tuple[Meeting, object]:
    """Open a meeting on this machine, as torchrun does: the port is taken before it is told.

    Returns:
        The meeting, and what keeps it open as long as it is held.
    """
    from torch.distributed.elastic.utils.distributed import create_c10d_store

    store = create_c10d_store(is_server=True, server_addr=address, server_port=0, wait_for_workers=False)
    return Meeting(address, store.port, size), store


def answer_to(work: bytes, *, is_first: bool) -> Answer:
    """Do the work: a pickled call, and what the first process calls ahead of it."""
    try:
        call, begin = pickle.loads(work)
        if is_first:
            begin()
        result = call()
        return Answer(result if is_first else None)
    except Exception as error:
        # Ours or a host's: whatever it is, it is raised anew where the command was started.
        return Answer(error=_carried(error), trace=traceback.format_exc())


def _carried(error: Exception) -> Exception:
    """The error, or its words where it does not come out of pickle as it went in."""
    try:
        same = type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:  # pickle calls the error's own class, which may raise whatever it likes
        same = False
    return error if same else WorkerError(f"{type(error).__name__}: {error}")


def result_of(answers: Iterable[tuple[int, Answer]]) -> Any:
    """What the first process returned, once all have ended well.

    Args:
        answers: Of each rank, as they come.

    Raises:
        Exception: What the first that failed raised.
    """
    result, lost = None, None
    for rank, answer in answers:
        if isinstance(answer.error, LostWorkerError):
            lost = lost or answer.error  # whom it has lost says more, and may be slower to say it
        elif answer.error is not None:
            raise answer.error from _ThereError(answer.trace)
        elif rank == 0:
            result = answer.result
    if lost is not None:
        raise lost
    return result
