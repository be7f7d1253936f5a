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
    default=("top_k=3", "elbow"),
    help="Rule to apply; may be repeated.",
)
@click.option(
    "--units",
    type=click.Choice(("corrected", "raw")),
    default="corrected",
    help="Apply rules to scores less the mean of shuffled labels, or as they are. Raw scores depend on "
    "the number of documents and on the SAE's width and L0.",
)
@click.option(
    "--score",
    help="A score that knows the donor, such as attributed_gain, of the attribution in DIAGNOSIS; the "
    "diagnosis' own unless given.",
)
@click.option(
    "--beside",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A diagnosis of the same model and texts, with the same settings, by other SAEs, of another seed or "
    "width; may be repeated.",
)
@click.option(
    "--other-target",
    type=click.Path(path_type=Path),
    help="A diagnosis, or with --score an attribution, of the same base for another target: says how alike "
    "each score ranks the layers for both.",
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
    diagnosis: Path,
    rules: tuple[str, ...],
    units: Literal["corrected", "raw"],
    score: str | None,
    beside: tuple[Path, ...],
    other_target: Path | None,
    plot: Path | None,
    mark: bool,
) -> None:
    """Show which layers each rule would take of the folder DIAGNOSIS, or of an attribution's, and how stably.

    Beside the layers stands the mean overlap of the choice with those that resampled documents, halves of the
    documents, every other score and other SAEs lead to: 1 for the same layers, 0 for none in common. Below,
    how each score there is ranks with depth, and with --other-target with the same score for that target.
    """
    from sae_merge_method.diagnose.score_ranks import blindness, ranks_grid, score_ranks, scored_in
    from sae_merge_method.diagnose.select import draw_selection, select_layers, selections_grid
    from sae_merge_method.reports.grid import as_text

    selections = [select_layers(diagnosis, rule, units=units, beside=beside, score=score) for rule in rules]
    if plot is not None or mark:
        draw_selection(diagnosis, selections[0], plot=plot, mark=mark)
    show(as_text(selections_grid(selections)))
    scored = scored_in(diagnosis, knows_donor=score is not None)
    other = None if other_target is None else scored_in(other_target, knows_donor=score is not None)
    ranks = score_ranks(scored, other)
    show(f"\n{as_text(ranks_grid(ranks, other.target if other else None))}")
    for line in blindness(ranks, scored.target, other.target) if other else ():
        show(line)
