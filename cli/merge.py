"""``sae-merge merge``: run a recipe through mergekit, checked first, whole or not at all."""

import sys
from pathlib import Path
from typing import Any

import click

from sae_merge_method.artifacts.recipe import read_recipe_text
from sae_merge_method.cli.mergekit_options import given, mergekit_options
from sae_merge_method.layers import format_layers


@click.command("merge")
@click.argument("recipe", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists, once the new merge is complete.")
@mergekit_options
def command(recipe: Path, out: Path, overwrite: bool, **options: Any) -> None:
    """Run RECIPE and write the merged checkpoint to OUT.

    Everything mergekit passes over in silence is an error here: unknown keys, list-valued
    gates, layers out of range, the diagnosis of another model. Donors are read in the open
    layers only. OUT appears when the merge is complete and has been checked against the base.
    """
    from sae_merge_method.merge.run import run_recipe

    chosen = given(options)
    chosen.setdefault("quiet", not sys.stderr.isatty())
    report = run_recipe(read_recipe_text(recipe), str(recipe), out, overwrite=overwrite, options=chosen)
    click.echo(
        f"{out}: {len(report.edited())} of {len(report.tensors)} tensors edited, "
        f"in layers {format_layers(report.layers)}; energy {report.energy:.6g}; "
        "all others are the base's, byte for byte"
    )
