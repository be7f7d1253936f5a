"""``sae-merge recipe check``: look a recipe over before anything large is fetched, and pin it."""

from pathlib import Path

import click

from sae_merge_method.cli.allow_mismatch import allow_mismatch_option
from sae_merge_method.cli.output import show
from sae_merge_method.cli.recipe_path import RecipePath

UNFIT = 1


@click.command("check")
@click.argument("recipe", type=RecipePath())
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the recipe here with every Hub model pinned to its commit.",
)
@click.option("--overwrite", is_flag=True, help="Replace the --out file if it exists.")
@allow_mismatch_option
@click.pass_context
def command(
    ctx: click.Context, recipe: Path, out: Path | None, overwrite: bool, allow_mismatch: tuple[str, ...]
) -> None:
    """Say what RECIPE needs, how much of it must be downloaded, and whether it fits together.

    RECIPE is a file or hf://OWNER/NAME[@REVISION]/FILE. Of models on the Hub only config.json is
    fetched; nothing of a repository is executed. Exit code 1 if something is missing or does not fit.
    """
    from sae_merge_method.recipe.check import check_recipe

    checked = check_recipe(recipe, out, overwrite=overwrite, allow_mismatch=allow_mismatch)
    show(str(checked))
    if checked.faults:
        ctx.exit(UNFIT)
    if out is not None:
        show(f"{out}: pinned")
