"""``sae-merge demo``: the whole road on a miniature trained on the spot."""

from pathlib import Path

import click

from sae_merge_method.miniature.settings import Settings


@click.command("demo", context_settings={"show_default": True})
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    help="Folder for everything the demo makes; an interrupted demo in it goes on.",
)
@click.option("--overwrite", is_flag=True, help="Start the demo that stands in --out from the beginning.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of texts, models and SAEs.")
@click.option(
    "--problems",
    type=click.IntRange(2, 300),
    default=Settings.problems_per_subject,
    help="Held-out problems a subject.",
)
@click.option(
    "--random-layers",
    type=click.IntRange(0, 55),
    help="Random sets of layers; 55 are all there are.  [default: 3]",
)
@click.option("--single-layers", is_flag=True, help="Also an arm for each layer alone.")
def command(
    out: Path, overwrite: bool, seed: int, problems: int, random_layers: int | None, single_layers: bool
) -> None:
    """Train a miniature, then diagnose, merge, evaluate and compare on it: an experiment.

    Offline and on the CPU. Tokenizer, base, donor and SAEs are trained the first time and kept in
    the user's cache folder. The rest is sae-merge experiment run, which can be typed again inside --out.
    """
    from sae_merge_method.miniature.demo import OF_A_MINIATURE, run_demo

    options = [] if random_layers is None else ["--random-layers", str(random_layers)]
    options += ["--single-layers"] if single_layers else []
    settings = Settings(seed=seed, problems_per_subject=problems)
    demo = run_demo(settings, out, overwrite=overwrite, options=tuple(options))
    origin = f"trained now: {', '.join(demo.made)}" if demo.made else "taken from the cache"
    click.echo(f"- {OF_A_MINIATURE}")
    seconds = f"{demo.training_seconds:.0f} s, the experiment {demo.experiment_seconds:.0f} s"
    click.echo(f"- Miniature {origin}: {seconds}. All of it is in {out}.")
