"""``sae-merge controls``: the recipes that a claim about one recipe needs beside it."""

from pathlib import Path

import click

from sae_merge_method.artifacts.recipe import read_recipe_text
from sae_merge_method.layers import format_layers


@click.command("controls", context_settings={"show_default": True})
@click.argument("recipe", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the arms."
)
@click.option(
    "--diagnosis",
    type=click.Path(path_type=Path, exists=True),
    help="Diagnosis to rank layers and features by.  [default: the one the recipe names]",
)
@click.option("--seeds", type=click.IntRange(min=0), default=5, help="Random sets of layers.")
@click.option(
    "--rank",
    type=click.IntRange(min=1),
    help="Features a layer of the scalpel arms.  [default: d_model/40: 64 at 2560]",
)
@click.option("--single-layers", is_flag=True, help="Also an arm for each layer alone.")
@click.option("--overwrite", is_flag=True, help="Replace the folder if it exists.")
def command(
    recipe: Path,
    out: Path,
    diagnosis: Path | None,
    seeds: int,
    rank: int | None,
    single_layers: bool,
    overwrite: bool,
) -> None:
    """Write the controls of one stethoscope RECIPE as recipes ready to merge.

    Other layers (random, depth-matched, largest task vector, lowest specificity), all layers at
    full and at equal energy, the scalpel and its random twin, the raw direction at the scalpel's
    energy, base and donor. Each file says what it controls for and how much energy it injects.
    """
    from sae_merge_method.controls.write import ControlSettings, write_controls

    arms = write_controls(
        read_recipe_text(recipe),
        str(recipe),
        out,
        ControlSettings(diagnosis, seeds, rank, single_layers=single_layers),
        overwrite=overwrite,
    )
    width = max(len(arm.name) for arm in arms)
    for arm in arms:
        click.echo(f"{arm.name:<{width}}  energy {arm.energy:<12.6g} layers {format_layers(arm.layers)}")
