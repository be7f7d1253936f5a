"""Arms run by actors of a Ray cluster, on this machine or on many."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

from sae_merge_method.errors import first_line
from sae_merge_method.experiment.worker import ArmEnd, ArmJob, ArmRunner, Setup, Underway
from sae_merge_method.together.ray_cluster import RayPlaces, joined


def run_on_ray(
    setup: Setup, jobs: Sequence[ArmJob], _: Callable[[Underway], None], places: RayPlaces
) -> Generator[ArmEnd, None, None]:
    """Run arms by as many actors as asked for; outcomes come as they are known.

    An actor that dies takes down its arm alone, and is replaced. How far an arm is stays untold: an actor
    answers one call at a time, and lm-eval wants its main thread.

    Raises:
        UsageError: Ray is not installed, or there is no cluster at the address.
    """
    with joined(places) as ray:
        yield from _outcomes(ray, setup, jobs, places)


def _outcomes(
    ray: Any, setup: Setup, jobs: Sequence[ArmJob], places: RayPlaces
) -> Generator[ArmEnd, None, None]:
    setup = replace(setup, workers=min(places.workers, len(jobs)))  # as if all were on one machine
    remote = ray.remote(ArmRunner).options(**places.options())
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
            outcome = ArmEnd(arm, f"its Ray worker ended: {first_line(error)}")
            actor = remote.remote(setup)
        if waiting:
            give(actor)
        yield outcome
