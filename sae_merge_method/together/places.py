"""Where work is shared out to: processes of this machine, each with GPUs and threads of its own, or Ray."""

import os
from dataclasses import dataclass

from pydantic import Field, model_validator
from typing_extensions import Self

from sae_merge_method.artifacts.schema import Record


class WorkerSettings(Record):
    """How many processes share some work, and where they run. Numbers differ at most in the last bits of a
    float, since each process has its share of the cores."""

    workers: int | None = Field(default=None, ge=0)
    """Processes that share the work; without it, one for each worker's GPUs, else this one alone, as with 0
    or 1."""
    gpus: tuple[str, ...] = ()
    """GPUs of each worker, such as 0 or 0,1; as many workers as there are."""

    ray: str | None = None
    """Run on a Ray cluster: its address, "auto" for the one that runs here, or "local"."""
    gpus_per_worker: float = Field(default=0, ge=0)
    """With Ray: GPUs of a worker."""

    @model_validator(mode="after")
    def _one_kind_of_worker(self) -> Self:
        if self.ray is None and self.gpus_per_worker:
            raise ValueError("gpus_per_worker belongs to ray; without it gpus names each worker's GPUs")
        if self.ray is not None and self.gpus:
            raise ValueError("gpus names GPUs of this machine; with ray it is gpus_per_worker")
        if self.gpus and self.workers not in (None, len(self.gpus)):
            raise ValueError(
                f"{self.workers} workers and {len(self.gpus)} times gpus: each worker has its own gpus"
            )
        return self


@dataclass(frozen=True)
class Place:
    """Where one worker runs."""

    number: int
    gpus: str | None = None
    """CUDA_VISIBLE_DEVICES of the worker; None leaves it as it is."""
    threads: int | None = None
    """OMP_NUM_THREADS of the worker; None leaves it as it is."""

    def environment(self) -> dict[str, str]:
        """What the worker's environment says of it; the hosts read it as they are imported."""
        named = {"CUDA_VISIBLE_DEVICES": self.gpus, "OMP_NUM_THREADS": self.threads}
        return {name: str(value) for name, value in named.items() if value is not None}


def places_here(asked: WorkerSettings) -> list[Place]:
    """The places on this machine that are asked for: one at least."""
    count = len(asked.gpus) or asked.workers or 1
    threads = _threads(count)
    return [Place(number, asked.gpus[number] if asked.gpus else None, threads) for number in range(count)]


def _threads(workers: int) -> int | None:
    """Share the cores out between workers, unless the user has said how."""
    if workers == 1 or "OMP_NUM_THREADS" in os.environ:
        return None
    return max(1, (os.cpu_count() or 1) // workers)
