"""A Ray cluster to work on, of this machine or of many: joining it, and what each of its workers gets.

Every node needs this package, the working folder under the same path (a shared file system), and what the
work reads. Ray is an extra: ``pip install ray``.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sae_merge_method.errors import UsageError
from sae_merge_method.together.places import WorkerSettings

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, ended with the work."""


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

    def options(self) -> dict[str, Any]:
        """Of a worker, as Ray takes them."""
        environment = {} if self.threads is None else {"OMP_NUM_THREADS": str(self.threads)}
        return {"num_gpus": self.gpus, "num_cpus": self.cpus, "runtime_env": {"env_vars": environment}}


def places_on_ray(asked: WorkerSettings) -> RayPlaces | None:
    """The places that are asked for; None where they are of this machine's own."""
    if asked.ray is None:
        return None
    threads = os.environ.get("OMP_NUM_THREADS")
    return RayPlaces(
        asked.ray, asked.workers or 1, asked.gpus_per_worker, threads=int(threads) if threads else None
    )


@contextmanager
def joined(places: RayPlaces) -> Iterator[Any]:
    """Join a cluster, unless this process is in one; yields the module ``ray``.

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
        yield ray
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
