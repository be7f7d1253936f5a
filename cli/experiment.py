"""``sae-merge experiment``: every arm that a claim needs, merged, evaluated and reported together."""

from pathlib import Path
from typing import Any

import click
from typing_extensions import override

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.output import show
from sae_merge_method.cli.record_options import given_options, record_options
from sae_merge_method.cli.worker_options import worker_options
from sae_merge_method.experiment.settings import ExperimentSettings, RunSettings

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_IN_PLACE_OF_THE_FILES = ("random_layers", "single_layers", "allow_mismatch")
"""Settings of the file that the command line can override."""


class ExperimentGroup(click.Group):
    """A group whose help ends with the arms and the claims that there are."""

    @override
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from sae_merge_method.controls.arms import ARMS
        from sae_merge_method.experiment.report.claims import CLAIMS

        with formatter.section("Arms"):
            formatter.write_dl([(row.name, row.as_it_is or row.description) for row in ARMS.values()])
        with formatter.section("Claims, the arms that they take, and what their tests assume"):
            formatter.write_dl(
                [
                    (claim.text, f"{', '.join(claim.arms)}: {claim.assumes}" if claim.arms else "-")
                    for claim in CLAIMS.values()
                ]
            )


@click.group("experiment", cls=ExperimentGroup)
def command() -> None:
    """Run a recipe and its controls, evaluated and reported together, from one file.

    The experiment is a YAML file; sae-merge recipes lists ready ones to copy and edit. Its key arms: takes
    the names below.
    """


_overrides = record_options(
    ExperimentSettings,
    leave_out=ExperimentSettings.model_fields.keys() - set(_IN_PLACE_OF_THE_FILES),
    from_file=True,
)


@command.command("run", context_settings={"show_default": True})
@click.argument("experiment", type=_FILE)
@click.option("--out", type=_FOLDER, required=True, help="Folder of the experiment; one that stands goes on.")
@_overrides
@worker_options(RunSettings)
@click.pass_context
def run(ctx: click.Context, /, experiment: Path, out: Path, **options: Any) -> None:
    """Run what of EXPERIMENT is not done yet, and write its report.

    Killed at any moment, the same command goes on, arm by arm. It writes experiment.json,
    experiment.md and experiment.html into --out, and prints the table.
    """
    from sae_merge_method.experiment.report.tables import as_table
    from sae_merge_method.experiment.run import run_experiment

    how = read_settings(RunSettings, {name: options[name] for name in RunSettings.model_fields})
    report = run_experiment(_settings(ctx, experiment, options), out, how)
    show(as_table(report))
    show(f"To look at: {out / 'experiment.html'}")


@command.command("plan", context_settings={"show_default": True})
@click.argument("experiment", type=_FILE)
@click.option("--out", type=_FOLDER, required=True, help="Folder of the experiment.")
@click.option(
    "--diagnose",
    is_flag=True,
    help="Fetch models and SAEs, and make diagnosis or attribution, where they are not there; run goes on.",
)
@_overrides
@click.pass_context
def plan(ctx: click.Context, /, experiment: Path, out: Path, diagnose: bool, **options: Any) -> None:
    """Say what EXPERIMENT takes and could show; no arm is run.

    Downloads, memory of a GPU, disk, arms and minutes; for each task the difference that would be found with
    a chance of 80 % and the problems that one of 2 or 5 points takes. Once models and diagnosis are there,
    also for each claim the smallest p that the arms can give, by itself and corrected, what each arm injects,
    and its recipe in --out. Without them no weight is fetched or read.
    """
    from sae_merge_method.experiment.report.planned import plan_table
    from sae_merge_method.experiment.run import plan_experiment

    show(plan_table(plan_experiment(_settings(ctx, experiment, options), out, diagnose=diagnose)), nl=False)


@command.command("report")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
def report(folder: Path) -> None:
    """Write the report of FOLDER anew, without running anything.

    It is of the arms that are done.
    """
    from sae_merge_method.experiment.report.tables import as_table
    from sae_merge_method.experiment.report.write import report_experiment

    show(as_table(report_experiment(folder)))


def _settings(ctx: click.Context, file: Path, options: dict[str, Any]) -> ExperimentSettings:
    given = given_options(ctx, {name: options[name] for name in _IN_PLACE_OF_THE_FILES})
    return read_settings(ExperimentSettings, given, file)
