"""``sae-merge recipes``: list the ready-made recipes and configurations, or copy one out."""

from pathlib import Path

import click

from sae_merge_method.errors import UsageError
from sae_merge_method.files.writing import write_text
from sae_merge_method.recipes import ready_configurations, ready_recipe, ready_recipes


@click.command("recipes")
@click.argument("name", required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to copy the recipe to  [default: NAME.yml in this folder, - for /]",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def command(name: str | None, out: Path | None, overwrite: bool) -> None:
    """List the ready-made recipes, or copy the one called NAME out to edit and run it.

    Those called diagnose/... are files for sae-merge diagnose --config, those called
    experiment/... for sae-merge experiment run.
    """
    if name is None:
        if out is not None:
            raise UsageError("--out needs the NAME of the recipe to copy")
        recipes = (*ready_recipes(), *ready_configurations())
        width = max(len(recipe.name) for recipe in recipes)
        for recipe in recipes:
            click.echo(f"{recipe.name:<{width}}  {recipe.summary}")
        return
    recipe = ready_recipe(name)
    out = out or Path(recipe.file_name)
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists: name another file or pass --overwrite")
    write_text(out, recipe.text)
    click.echo(str(out))
