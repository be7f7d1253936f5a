"""``python -m trials run``, and ``python -m trials report``: the trial of one model, and what it says."""

from pathlib import Path

import click

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.models.devices import resolve_device
from trials.folder import TrialFolder
from trials.jobs import run_jobs
from trials.make import make
from trials.models import MODELS
from trials.record import begin
from trials.settings import TrialSettings
from trials.sizes import SIZES
from trials.stages import STAGES, Trial, jobs_of

_model = click.option(
    "--model",
    type=click.Choice(tuple(MODELS)),
    default=next(iter(MODELS)),
    show_default=True,
    help="Model that is tried.",
)
_out = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/trial"),
    show_default=True,
    help="Folder of all trials; each model has its own in it.",
)
_STAGES_MAKE = "; ".join(f"{stage.name}: {stage.makes}" for stage in STAGES.values())


def _names(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(name.strip() for name in value.split(","))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """What this software's claims are worth on a real model."""


@main.command()
@_model
@_out
@click.option(
    "--only",
    "stages",
    multiple=True,
    type=click.Choice(tuple(STAGES)),
    help=f"Only this stage; may be repeated. {_STAGES_MAKE}.",
)
@click.option("--abilities", callback=_names, help="Of these abilities alone, separated by commas.")
@click.option("--seeds", default="0,1", show_default=True, callback=_names, help="Seeds of donors.")
@click.option(
    "--sizes",
    "size",
    type=click.Choice(tuple(SIZES)),
    default=next(iter(SIZES)),
    show_default=True,
    help="How much is measured: what two cores can do, or some four times as much.",
)
@click.option("--device", default="cpu", show_default=True, help="Where it is computed: cpu, cuda, cuda:1.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Commands that run at a time."
)
def run(
    model: str,
    out: Path,
    stages: tuple[str, ...],
    abilities: tuple[str, ...] | None,
    seeds: tuple[str, ...],
    size: str,
    device: str,
    workers: int,
) -> None:
    """Run the stages whose results do not stand yet; interrupted, the same command goes on.

    Base, texts and tasks are made first, unless a stage is named.
    """
    folder = TrialFolder((out / model).resolve())
    asked = {"model": model, "seeds": seeds, **({"abilities": abilities} if abilities else {})}
    settings = TrialSettings.model_validate(asked)
    on = resolve_device(device)
    record = begin(folder, size, settings.abilities, on)
    if not stages:
        # Of all, though fewer are asked for now: texts are made once.
        make(settings.model_copy(update={"abilities": record.abilities}), folder, click.echo)
    trial = Trial(folder, record.sizes, settings.abilities, settings.seeds, on)
    left = run_jobs(folder.root, jobs_of(trial, stages or tuple(STAGES)), workers, click.echo)
    if left:
        raise click.ClickException(f"not done: {', '.join(job.called for job in left)}")


@main.command()
@_model
@_out
@click.option("--ability", required=True, help="What it is to learn.")
@click.option("--seed", type=int, required=True, help="Which problems it sees, in which order.")
@click.option("--device", default="cpu", show_default=True, help="Where it is trained: cpu, cuda, cuda:1.")
def train(model: str, out: Path, ability: str, seed: int, device: str) -> None:
    """Train one donor, unless it stands; what run does for each."""
    from trials.donors import make_donors

    folder = TrialFolder((out / model).resolve())
    settings = TrialSettings(model=model, abilities=(ability,), seeds=(seed,))
    make_donors(settings, folder.root / folder.base, folder.root / "donors", device)


@main.command()
@_model
@_out
@click.option(
    "--docs",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write MODEL.md and its pictures there, such as docs/trials.",
)
def report(model: str, out: Path, docs: Path | None) -> None:
    """Write report.json, report.md and pictures from what stands, finished or not."""
    from trials.report.write import write_report

    for file in write_report(out / model, model, docs):
        click.echo(str(file))


if __name__ == "__main__":
    try:
        main(prog_name="python -m trials", standalone_mode=True)
    except SaeMergeError as error:
        raise SystemExit(f"Error: {error}") from error
