"""``sae-merge select``: what selection rules would take of a diagnosis, and how stable that is."""

from pathlib import Path
from typing import Literal

import click

from sae_merge_method.cli.members import Member, WithMembers
from sae_merge_method.cli.output import show
from sae_merge_method.selection import ANY_RULE


@click.command("select", cls=WithMembers, context_settings={"show_default": True})
@click.argument("diagnosis", type=click.Path(path_type=Path))
@click.option(
    "--rule",
    "rules",
    type=Member(ANY_RULE),
    multiple=True,
    default=("top_k=3", "fdr=0.05", "elbow"),
    help="Rule to apply; may be repeated.",
)
@click.option(
    "--units",
    type=click.Choice(("raw", "corrected")),
    default="raw",
    help="Apply rules to scores as they are, or less the mean of shuffled labels: thresholds that "
    "are to carry across models want corrected ones.",
)
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the first rule's choice as a PNG."
)
@click.option(
    "--mark",
    is_flag=True,
    help="Mark the first rule's choice in DIAGNOSIS itself: specificity.png and diagnosis.html are redrawn.",
)
def command(
    diagnosis: Path, rules: tuple[str, ...], units: Literal["raw", "corrected"], plot: Path | None, mark: bool
) -> None:
    """Show which layers each rule would take of the folder DIAGNOSIS, and how stably.

    Agreement is the mean overlap of the choice with those that resampled documents lead to.
    """
    from sae_merge_method.diagnose.select import draw_selection, select_layers, selections_grid
    from sae_merge_method.reports.grid import as_text

    selections = [select_layers(diagnosis, rule, units=units) for rule in rules]
    if plot is not None or mark:
        draw_selection(diagnosis, selections[0], plot=plot, mark=mark)
    show(as_text(selections_grid(selections)))
