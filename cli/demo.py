"""``sae-merge demo``: diagnosis and experiment on a miniature trained on the spot."""

from pathlib import Path
from typing import Any

import click

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.output import show
from sae_merge_method.cli.record_options import record_options
from sae_merge_method.miniature.settings import MiniatureSettings

_CHOICES = ("seed", "problems_per_subject")
"""Settings of the miniature that the command line can choose; the others make another miniature."""


@click.command("demo", context_settings={"show_default": True})
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    help="Folder for everything the demo makes; an interrupted demo in it goes on.",
)
@click.option("--overwrite", is_flag=True, help="Start the demo that stands in --out from the beginning.")
@record_options(MiniatureSettings, leave_out=MiniatureSettings.model_fields.keys() - set(_CHOICES))
@click.option(
    "--random-layers",
    type=click.IntRange(0, 55),
    help="Random sets of layers; 55 are all there are.  [default: 5]",
)
@click.option("--single-layers", is_flag=True, help="Also an arm for each layer alone.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    help="Demos to run, each with the next seed and in a folder of its own in --out; then how many support "
    "each claim.",
)
def command(
    out: Path,
    overwrite: bool,
    random_layers: int | None,
    single_layers: bool,
    seeds: int,
    **choices: Any,
) -> None:
    """Train a miniature, diagnose it, and run an experiment on it.

    The pick and its controls are edited in memory, evaluated and compared. Offline and on the CPU.
    Tokenizer, base, donor and SAEs are trained the first time and kept in the user's cache folder. The
    rest is sae-merge experiment run, which can be typed again inside --out.
    With --seeds, all of it for each seed; interrupted, the same command goes on.
    """
    from sae_merge_method.artifacts.experiment import PAGE_FILE
    from sae_merge_method.miniature.demo import EXPERIMENT_FOLDER, OF_A_MINIATURE, TUNE_FILE, run_demo
    from sae_merge_method.miniature.seeds import CLAIMS_FILE, run_seeds
    from sae_merge_method.reports.grid import as_text

    options = [] if random_layers is None else ["--random-layers", str(random_layers)]
    options += ["--single-layers"] if single_layers else []
    settings = read_settings(MiniatureSettings, choices)
    if seeds > 1:
        over = run_seeds(settings, out, seeds, overwrite=overwrite, options=tuple(options))
        show(f"How many of {seeds} seeds give which answer:\n\n{as_text(over.grid)}\n\n{over.picks}")
        show(f"To look at: {out / CLAIMS_FILE}, and experiment/experiment.html in the folder of each seed.")
        return
    demo = run_demo(settings, out, overwrite=overwrite, options=tuple(options))
    origin = f"trained now: {', '.join(demo.made)}" if demo.made else "taken from the cache"
    show(f"- {OF_A_MINIATURE}")
    seconds = f"{demo.training_seconds:.0f} s, the experiment {demo.experiment_seconds:.0f} s"
    show(f"- Miniature {origin}: {seconds}. All of it is in {out}.")
    show(f"To look at: {out / EXPERIMENT_FOLDER / PAGE_FILE}")
    show(f"To go on: cd {out}; sae-merge tune {TUNE_FILE} --out tuned/")
