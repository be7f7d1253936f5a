"""``sae-merge diff``: which tensors of two checkpoints differ, and by how much."""

from pathlib import Path

import click

from sae_merge_method.cli.output import show


@click.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
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
def command(first: str, second: str, everything: bool, form: str, plot: Path | None) -> None:
    """Compare the weights of checkpoints A and B: folders, or Hub ids.

    Tensors are matched whatever layout either was saved in. "relative" is ||B - A|| / ||A||.
    A tensor whose values are the same, stored in another dtype, is counted apart.
    """
    from sae_merge_method.diff.run import diff
    from sae_merge_method.diff.show import MOST, difference_text, heat_map
    from sae_merge_method.files.writing import canonical_json, write_bytes

    difference = diff(first, second)
    if form == "json":
        show(canonical_json(difference.model_dump(mode="json")), nl=False)
    else:
        show(difference_text(difference, None if everything else MOST))
    if plot is not None:
        write_bytes(plot, heat_map(difference, f"{Path(first).name} -> {Path(second).name}"))
