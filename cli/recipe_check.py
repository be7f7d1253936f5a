"""``sae-merge recipe check``: look a recipe over before anything large is fetched, and pin it."""

from pathlib import Path

import click

from sae_merge_method.artifacts.recipe import read_recipe_text
from sae_merge_method.cli.recipe_path import RecipePath
from sae_merge_method.errors import UsageError
from sae_merge_method.files.writing import write_text

UNFIT = 1


@click.command("check")
@click.argument("recipe", type=RecipePath())
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the recipe here with every Hub model pinned to its commit.",
)
@click.option("--overwrite", is_flag=True, help="Replace the --out file if it exists.")
@click.pass_context
def command(ctx: click.Context, recipe: Path, out: Path | None, overwrite: bool) -> None:
    """Say what RECIPE needs, how much of it must be downloaded, and whether it fits together.

    RECIPE is a file or hf://OWNER/NAME[@REVISION]/FILE. Of models on the Hub only config.json is
    fetched; nothing of a repository is executed. Exit code 1 if something is missing or does not fit.
    """
    from sae_merge_method.recipe.check import check_recipe
    from sae_merge_method.recipe.sizes import readable

    if out is not None and out.exists() and not overwrite:
        raise UsageError(f"{out} exists: name another file or pass --overwrite")
    checked = check_recipe(read_recipe_text(recipe), str(recipe))
    for found in checked.models.values():
        for place in found:
            at = f"@{place.commit}" if place.commit else " (a folder)"
            need = f", {readable(place.missing)} to download" if place.missing else ", at hand"
            click.echo(f"  {place.name}{at}: {readable(place.size)}{need}")
    findings = checked.findings
    for word, sentences in (
        ("fits", findings.fits),
        ("not checked", findings.skipped),
        ("FAULT", findings.faults),
    ):
        for sentence in sentences:
            click.echo(f"  {word:<12}{sentence}")
    click.echo(f"{readable(checked.missing)} to download in all")
    if findings.faults:
        ctx.exit(UNFIT)
    if out is not None:
        write_text(out, checked.pinned)
        click.echo(f"{out}: pinned")
