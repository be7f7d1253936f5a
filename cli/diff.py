"""``sae-merge diff``: which tensors of two checkpoints differ, and by how much."""

import sys
from pathlib import Path

import click


@click.command("diff")
@click.argument("a")
@click.argument("b")
@click.option(
    "--all", "everything", is_flag=True, help="List every changed tensor, not only the most changed."
)
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", help="How to print it."
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a heat map of the relative change by layer and kind of tensor, as PNG.",
)
def command(a: str, b: str, everything: bool, form: str, plot: Path | None) -> None:
    """Compare the weights of checkpoints A and B: folders, or Hub ids.

    Tensors are matched whatever layout either was saved in. "relative" is ||B - A|| / ||A||.
    """
    from sae_merge_method.diff.diff import compare_checkpoints
    from sae_merge_method.diff.show import diff_table, diff_values, heat_map
    from sae_merge_method.files.writing import canonical_json, write_bytes
    from sae_merge_method.models.hub import open_model

    found = compare_checkpoints(open_model(a), open_model(b), quiet=not sys.stderr.isatty())
    if form == "json":
        click.echo(canonical_json(diff_values(found)), nl=False)
    else:
        click.echo(diff_table(found, None if everything else 40))
    if plot is not None:
        write_bytes(plot, heat_map(found, f"{Path(a).name} -> {Path(b).name}"))
