"""``sae-merge recipe``: choose layers from a diagnosis and write a mergekit recipe."""

from pathlib import Path
from typing import Any

import click
from typing_extensions import override

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.members import WithMembers
from sae_merge_method.cli.output import show
from sae_merge_method.cli.record_options import record_options
from sae_merge_method.errors import UsageError
from sae_merge_method.layers import named_units
from sae_merge_method.recipe.from_diagnosis import RecipeSettings, write_recipe
from sae_merge_method.spacing import adjacency


class WithCheck(WithMembers):
    """``recipe ...`` writes a recipe; ``recipe check FILE`` is a command of its own.

    Not a click group: its options would then have to stand before a third command's name.
    """

    @override
    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args[:1] != ["check"]:
            return super().make_context(info_name, args, parent, **extra)
        from sae_merge_method.cli.recipe_check import command

        return command.make_context(f"{info_name} check", args[1:], parent, **extra)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


@click.command("recipe", cls=WithCheck, epilog="sae-merge recipe check FILE looks a recipe over.")
@record_options(RecipeSettings, leave_out=("parameters",))
@click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the method, such as energy=0.5, rank=64, mode=random; may be repeated.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Recipe file to write."
)
@click.option("--overwrite", is_flag=True, help="Replace the recipe file if it exists.")
def command(parameters: tuple[str, ...], out: Path, overwrite: bool, **options: Any) -> None:
    """Write a recipe that adds the task vector (DONOR minus BASE) to the layers a diagnosis selects."""
    settings = read_settings(RecipeSettings, {**options, "parameters": _read_parameters(parameters)})
    recipe = write_recipe(settings, out, overwrite=overwrite)
    show(f"{out}: {named_units(recipe.layers, recipe.n_layers)}, {adjacency(recipe.layers)}")


def _read_parameters(pairs: tuple[str, ...]) -> dict[str, str | int | float | bool]:
    """NAME=VALUE pairs, each value read as the recipe's YAML would read it."""
    import yaml

    parameters: dict[str, str | int | float | bool] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals or name in parameters:
            raise UsageError(f"--set: expected NAME=VALUE, each name once, got {pair!r}")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text  # features: "9: 3; 11: 4" and the like
        parameters[name] = value if isinstance(value, (bool, int, float)) else text
    return parameters
