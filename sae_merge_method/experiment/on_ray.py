"""Arms run by actors of a Ray cluster, on this machine or on many.

Every node needs this package, the working folder under the same path (a shared file system), and what
the experiment reads. Ray is an extra: ``pip install ray``.
"""

import os
import socket
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from sae_merge_method.errors import UsageError
from sae_merge_method.experiment.worker import ArmJob, ArmRunner, Outcome, Setup, Underway

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, ended with the experiment."""


@dataclass(frozen=True)
class RayPlaces:
    """Where and how many."""

    address: str
    """Of the cluster's head, "auto" for the one that runs here, or "local"."""
    workers: int
    gpus: float = 0
    """GPUs a worker; Ray sets CUDA_VISIBLE_DEVICES accordingly."""
    cpus: float = 1
    """CPUs a worker."""
    threads: int | None = None
    """OMP_NUM_THREADS of a worker; None leaves it to Ray, which sets it to the worker's CPUs."""


def run_on_ray(
    setup: Setup, jobs: Sequence[ArmJob], _: Callable[[Underway], None], places: RayPlaces
) -> Generator[Outcome, None, None]:
    """Run arms by as many actors as asked for; outcomes come as they are known.

    An actor that dies takes down its arm alone, and is replaced. How far an arm is stays untold: an actor
    answers one call at a time, and lm-eval wants its main thread.

    Raises:
        UsageError: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("--ray needs Ray: pip install ray") from error
    is_joined_here = not ray.is_initialized()
    if is_joined_here:
        _connect(ray, places)
    try:
        yield from _outcomes(ray, setup, jobs, places)
    finally:
        if is_joined_here:
            ray.shutdown()


def _connect(ray: Any, places: RayPlaces) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    try:
        _knock(places.address)
        if places.address == LOCAL:
            # As many CPUs as workers ask for: Ray counts them, it does not bind them.
            ray.init(
                num_cpus=int(places.workers * max(places.cpus, 1)),
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
            )
        else:
            ray.init(address=places.address, log_to_driver=False, logging_level="error")
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"--ray {places.address}: no cluster to join: {error}") from error


def _knock(address: str) -> None:
    """Ray itself waits for minutes for a cluster that is not there."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _outcomes(
    ray: Any, setup: Setup, jobs: Sequence[ArmJob], places: RayPlaces
) -> Generator[Outcome, None, None]:
    environment = {} if places.threads is None else {"OMP_NUM_THREADS": str(places.threads)}
    remote = ray.remote(ArmRunner).options(
        num_gpus=places.gpus, num_cpus=places.cpus, runtime_env={"env_vars": environment}
    )
    waiting = deque(jobs)
    running: dict[Any, tuple[Any, str]] = {}

    def give(actor: Any) -> None:
        job = waiting.popleft()
        running[actor.run.remote(job)] = (actor, job.arm.name)

    for _ in range(min(places.workers, len(jobs))):
        give(remote.remote(setup))
    while running:
        (ready,), _ = ray.wait(list(running))
        actor, arm = running.pop(ready)
        try:
            outcome = ray.get(ready)
        except ray.exceptions.RayError as error:
            outcome = Outcome(arm, f"its Ray worker ended: {str(error).strip().splitlines()[0]}")
            actor = remote.remote(setup)
        if waiting:
            give(actor)
        yield outcome
