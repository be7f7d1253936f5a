"""``sae-merge recipe``: choose layers from a diagnosis and write a mergekit recipe."""

import math
from pathlib import Path

import click

from sae_merge_method.artifacts.schema import OneOf
from sae_merge_method.cli.members import Member
from sae_merge_method.cli.with_check import WithCheck
from sae_merge_method.errors import UsageError
from sae_merge_method.files.writing import write_text
from sae_merge_method.layers import format_layers
from sae_merge_method.recipe.methods import METHODS
from sae_merge_method.selection import ANY_RULE, parse_rule


@click.command("recipe", cls=WithCheck, epilog="sae-merge recipe check FILE looks a recipe over.")
@click.option(
    "--diagnosis",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="Folder that sae-merge diagnose wrote, or its diagnosis.json.",
)
@click.option("--base", required=True, help="Base model, the diagnosed one: folder or Hub id[@revision].")
@click.option("--donor", required=True, help="Donor model: folder, Hub id[@revision], or model+adapter.")
@click.option(
    "--select",
    type=Member(ANY_RULE),
    default="top_k=3",
    show_default=True,
    help="Rule that chooses the layers.",
)
@click.option(
    "--method",
    type=Member(OneOf(METHODS)),
    default="sae_stethoscope",
    show_default=True,
    help="What is added in the layers chosen.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the method, such as energy=0.5, rank=64, mode=random; may be repeated.",
)
@click.option("--weight", type=float, default=1.0, show_default=True, help="Alpha, the task vector's factor.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Recipe file to write."
)
@click.option("--overwrite", is_flag=True, help="Replace the recipe file if it exists.")
def command(
    diagnosis: Path,
    base: str,
    donor: str,
    select: str,
    method: str,
    settings: tuple[str, ...],
    weight: float,
    out: Path,
    overwrite: bool,
) -> None:
    """Write a recipe that adds the task vector (DONOR minus BASE) to the layers a diagnosis selects."""
    from sae_merge_method.recipe.from_diagnosis import write_recipe

    rule = parse_rule(select)
    if not math.isfinite(weight):
        raise UsageError(f"--weight: expected a finite number, got {weight}")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists: name another file or pass --overwrite")
    recipe = write_recipe(
        diagnosis, base, donor, rule, weight=weight, method=method, parameters=_read_settings(settings)
    )
    write_text(out, recipe.text)
    click.echo(f"{out}: layers {format_layers(recipe.layers)} of {recipe.n_layers}")


def _read_settings(settings: tuple[str, ...]) -> dict[str, str | int | float | bool]:
    """NAME=VALUE pairs, each value read as the recipe's YAML would read it."""
    import yaml

    found: dict[str, str | int | float | bool] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text  # features: "9: 3; 11: 4" and the like
        if not name or not equals or name in found:
            raise UsageError(f"--set: expected NAME=VALUE, each name once, got {setting!r}")
        found[name] = value if isinstance(value, (bool, int, float)) else text
    return found
