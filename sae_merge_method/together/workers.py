"""One process among several on one work: ``torchrun`` or ``accelerate launch`` start them, or :mod:`.run`.

Each does its share of the pieces and leaves them in a folder that all must see; the first process waits for
the others and writes what they make together. No sums cross between processes, so the bytes are those of a
single one.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple, TypeVar

from sae_merge_method.errors import SaeMergeError, UsageError
from sae_merge_method.models.devices import AUTO, resolve_device

_PATIENCE = timedelta(days=2)
"""How long the fastest process waits for the slowest."""


Piece = TypeVar("Piece")


class LostWorkerError(SaeMergeError):
    """Another of the processes has ended before its time."""


class Workers(NamedTuple):
    """This process among all."""

    rank: int
    size: int
    local_rank: int
    is_apart: bool = False
    """Whether no other process sees the devices that this one sees."""

    @property
    def is_first(self) -> bool:
        """Whether this process reports and writes."""
        return self.rank == 0

    def device(self, name: str, device_map: str | None = None) -> str | None:
        """The device for this process: ``cuda`` is a GPU of its own, auto the best there is; None for all.

        Raises:
            UsageError: Every one of several processes would spread over all devices.
        """
        if device_map is not None:
            if self.size > 1 and not self.is_apart:
                raise UsageError(
                    "--device-map spreads one process over all devices that it sees: start only one, or give "
                    "each its own, as by --gpus 0,1 --gpus 2,3"
                )
            return None
        name = resolve_device() if name == AUTO else name
        return f"cuda:{self.local_rank}" if name == "cuda" and self.size > 1 else name

    def share_of(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Those that this process does: neighbours, which are alike, go to different ones."""
        return pieces[self.rank :: self.size]

    def wait(self) -> None:
        """Wait until every process has come here.

        Raises:
            LostWorkerError: One of them comes no more.
        """
        if self.size > 1:
            import torch.distributed

            try:
                torch.distributed.barrier()
            except RuntimeError as error:
                raise LostWorkerError(
                    "another of the processes that share this work ended early: its own message says why"
                ) from error


ALONE = Workers(0, 1, 0)
"""A single process."""


def is_first_process() -> bool:
    """Whether this process is the only one, or the one that reports for all."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def join_workers() -> Iterator[Workers]:
    """Meet the other processes that the launcher's environment speaks of; alone without one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    import torch.distributed

    # Only "I am here" is exchanged, for which gloo serves on any machine.
    torch.distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield Workers(
            torch.distributed.get_rank(),
            size,
            int(os.environ.get("LOCAL_RANK", "0")),
            is_apart=os.environ.get("LOCAL_WORLD_SIZE") == "1",
        )
    finally:
        torch.distributed.destroy_process_group()
