"""``sae-merge controls``: the recipes that a claim about one recipe needs beside it."""

from pathlib import Path
from typing import Any

import click
from typing_extensions import override

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.output import show
from sae_merge_method.cli.record_options import record_options
from sae_merge_method.controls.settings import ControlSettings
from sae_merge_method.reports.grid import as_text


class ControlsCommand(click.Command):
    """A command whose help ends with the arms that there are."""

    @override
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from sae_merge_method.controls.arms import ARMS

        with formatter.section("Arms, and what they control for"):
            formatter.write_dl([(row.name, row.description) for row in ARMS.values()])


@click.command("controls", cls=ControlsCommand, context_settings={"show_default": True})
@click.argument("recipe", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the arms."
)
@record_options(ControlSettings)
@click.option("--overwrite", is_flag=True, help="Replace the folder if it exists.")
def command(recipe: Path, out: Path, overwrite: bool, **options: Any) -> None:
    """Write the recipes any claim needs beside its own: other layers, equal energy, the scalpel.

    They are controls of one stethoscope RECIPE, ready to merge. Each file says what it controls for and
    how much energy it injects.
    """
    from sae_merge_method.controls.show import arms_grid, arms_notes
    from sae_merge_method.controls.write import write_controls
    from sae_merge_method.recipe.methods import parse_recipe
    from sae_merge_method.recipe.resolved import read_recipe

    text = read_recipe(recipe)
    arms = write_controls(text, out, read_settings(ControlSettings, options), overwrite=overwrite)
    show(as_text(arms_grid(arms)))
    for line in arms_notes(arms, parse_recipe(*text).parameters.rounding):
        show(line, err=True)
