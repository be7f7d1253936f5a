"""Where the arms of an experiment run: in this process, in others of this machine, or on a Ray cluster."""

import os
from collections.abc import Callable, Generator, Sequence
from functools import partial

from sae_merge_method.experiment.on_ray import RayPlaces, run_on_ray
from sae_merge_method.experiment.processes import run_in_processes
from sae_merge_method.experiment.settings import RunSettings
from sae_merge_method.experiment.worker import ArmJob, ArmRunner, Outcome, Setup, Underway
from sae_merge_method.places import places_here

Tell = Callable[[Underway], None]
Runner = Callable[[Setup, Sequence[ArmJob], Tell], Generator[Outcome, None, None]]
"""Runs arms somewhere, and tells how each ended; to the last argument, how far those are that run."""


def choose_runner(how: RunSettings) -> Runner:
    """The runner that the settings mean."""
    if how.ray is not None:
        threads = os.environ.get("OMP_NUM_THREADS")
        return partial(
            run_on_ray,
            places=RayPlaces(
                how.ray,
                how.workers or 1,
                how.gpus_per_worker,
                threads=int(threads) if threads else None,
            ),
        )
    if how.workers == 0:
        return run_here
    return partial(run_in_processes, places=places_here(how))


def run_here(setup: Setup, jobs: Sequence[ArmJob], tell: Tell) -> Generator[Outcome, None, None]:
    """Run arms one after another in this process: for a debugger, or where lm-eval is loaded anyway."""
    runner = ArmRunner(setup, tell)
    for job in jobs:
        yield runner.run(job)
