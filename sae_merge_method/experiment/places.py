"""Where the arms of an experiment run: in this process, in others of this machine, or on a Ray cluster."""

from collections.abc import Callable, Generator, Sequence
from functools import partial

from sae_merge_method.experiment.on_ray import run_on_ray
from sae_merge_method.experiment.processes import run_in_processes
from sae_merge_method.experiment.settings import RunSettings
from sae_merge_method.experiment.worker import ArmEnd, ArmJob, ArmRunner, Setup, Underway
from sae_merge_method.together.places import places_here
from sae_merge_method.together.ray_cluster import places_on_ray

Tell = Callable[[Underway], None]
Runner = Callable[[Setup, Sequence[ArmJob], Tell], Generator[ArmEnd, None, None]]
"""Runs arms somewhere, and tells how each ended; to the last argument, how far those are that run."""


def choose_runner(how: RunSettings) -> Runner:
    """The runner that the settings mean."""
    on_ray = places_on_ray(how)
    if on_ray is not None:
        return partial(run_on_ray, places=on_ray)
    if how.workers == 0:
        return run_here
    return partial(run_in_processes, places=places_here(how))


def run_here(setup: Setup, jobs: Sequence[ArmJob], tell: Tell) -> Generator[ArmEnd, None, None]:
    """Run arms one after another in this process: for a debugger, or where lm-eval is loaded anyway."""
    runner = ArmRunner(setup, tell)
    for job in jobs:
        yield runner.run(job)
