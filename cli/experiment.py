"""``sae-merge experiment``: every arm that a claim needs, merged, evaluated and reported together."""

import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.errors import UsageError

if TYPE_CHECKING:
    from sae_merge_method.experiment.run import Backend
    from sae_merge_method.experiment.worker import ArmJob, Outcome, Setup

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group("experiment")
def command() -> None:
    """Merge and evaluate the pick and its controls, and say what the numbers support.

    The experiment is a YAML file; sae-merge recipes lists ready ones to copy and edit.
    """


@command.command("run", context_settings={"show_default": True})
@click.argument("experiment", type=_FILE)
@click.option("--out", type=_FOLDER, required=True, help="Folder of the experiment; one that stands goes on.")
@click.option(
    "--single-layers", is_flag=True, help="Also an arm for each layer alone: does the score predict?"
)
@click.option(
    "--random-layers", type=click.IntRange(min=0), help="Random sets of layers, in place of the file's."
)
@click.option("--keep", is_flag=True, help="Keep merged checkpoints in --out/merged after their evaluation.")
@click.option("--overwrite", is_flag=True, help="Run again the arms made from other settings than now.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that run arms side by side.  [default: one for each --gpus, else 1]",
)
@click.option(
    "--gpus",
    multiple=True,
    metavar="IDS",
    help="GPUs of one worker, such as 0 or 0,1; again for each further worker.",
)
@click.option("--ray", metavar="ADDRESS", help='Run on a Ray cluster: its address, "auto", or "local".')
@click.option(
    "--gpus-per-worker", type=click.FloatRange(min=0), default=0, help="With --ray: GPUs of a worker."
)
def run(
    experiment: Path,
    out: Path,
    single_layers: bool,
    random_layers: int | None,
    keep: bool,
    overwrite: bool,
    workers: int | None,
    gpus: tuple[str, ...],
    ray: str | None,
    gpus_per_worker: float,
) -> None:
    """Run the arms of EXPERIMENT that are not done, and write the report.

    Killed at any moment, the same command goes on, arm by arm. It writes experiment.json,
    experiment.md and experiment.html into --out, and prints the table.
    """
    from sae_merge_method.experiment.report.tables import as_table
    from sae_merge_method.experiment.run import RunSettings, run_experiment
    from sae_merge_method.experiment.settings import ExperimentSettings

    if ray is None and gpus_per_worker:
        raise UsageError("--gpus-per-worker belongs to --ray; without it --gpus names each worker's GPUs")
    if ray is not None and gpus:
        raise UsageError("--gpus names GPUs of this machine; with --ray it is --gpus-per-worker")
    backend = _on_ray(ray, workers or 1, gpus_per_worker) if ray is not None else _here(workers, gpus)
    settings = read_settings(ExperimentSettings, _given(single_layers, random_layers), experiment)
    report = run_experiment(settings, out, RunSettings(backend, keep, overwrite))
    click.echo(as_table(report))
    click.echo(f"To look at: {out / 'experiment.html'}")


@command.command("plan", context_settings={"show_default": True})
@click.argument("experiment", type=_FILE)
@click.option("--out", type=_FOLDER, required=True, help="Folder of the experiment.")
@click.option("--single-layers", is_flag=True, help="As of run.")
@click.option("--random-layers", type=click.IntRange(min=0), help="As of run.")
def plan(experiment: Path, out: Path, single_layers: bool, random_layers: int | None) -> None:
    """Write the recipes of all arms into --out and list them, without running any.

    Diagnoses first where EXPERIMENT says how; run goes on from there.
    """
    from sae_merge_method.experiment.run import plan_experiment
    from sae_merge_method.experiment.settings import ExperimentSettings
    from sae_merge_method.layers import format_layers

    found = plan_experiment(
        read_settings(ExperimentSettings, _given(single_layers, random_layers), experiment), out
    )
    width = max(len(arm.name) for arm, _ in found)
    for arm, done in found:
        energy = "?" if arm.energy is None else f"{arm.energy:.6g}"
        state = "done" if done else "to do"
        click.echo(f"{arm.name:<{width}}  {state:<5}  energy {energy:<12} layers {format_layers(arm.layers)}")


@command.command("report")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
def report(folder: Path) -> None:
    """Write the report of FOLDER anew from the arms that are done; nothing is run."""
    from sae_merge_method.experiment.report.tables import as_table
    from sae_merge_method.experiment.report.write import write_reports

    click.echo(as_table(write_reports(folder)))


def _given(single_layers: bool, random_layers: int | None) -> dict[str, int | bool]:
    given: dict[str, int | bool] = {}
    if single_layers:
        given["single_layers"] = True
    if random_layers is not None:
        given["random_layers"] = random_layers
    return given


def _here(workers: int | None, gpus: tuple[str, ...]) -> "Backend":
    from sae_merge_method.experiment.processes import Place, run_in_processes

    if gpus and workers not in (None, len(gpus)):
        raise UsageError(f"--workers {workers} and {len(gpus)} times --gpus: each worker has its own --gpus")
    count = len(gpus) or workers or 1
    threads = _threads(count)
    places = [Place(number, gpus[number] if gpus else None, threads) for number in range(count)]

    def backend(setup: "Setup", jobs: "Sequence[ArmJob]") -> "Generator[Outcome, None, None]":
        return run_in_processes(setup, jobs, places)

    return backend


def _on_ray(address: str, workers: int, gpus: float) -> "Backend":
    from sae_merge_method.experiment.on_ray import RayPlaces, run_on_ray

    threads = os.environ.get("OMP_NUM_THREADS")
    places = RayPlaces(address, workers, gpus, threads=int(threads) if threads else None)

    def backend(setup: "Setup", jobs: "Sequence[ArmJob]") -> "Generator[Outcome, None, None]":
        return run_on_ray(setup, jobs, places)

    return backend


def _threads(workers: int) -> int | None:
    """Share the cores out between workers, unless the user has said how."""
    if workers == 1 or "OMP_NUM_THREADS" in os.environ:
        return None
    return max(1, (os.cpu_count() or 1) // workers)
