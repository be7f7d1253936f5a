"""What each layer carries of a donor's gain and damage as a table, for cards and reports of experiments."""

from collections.abc import Collection

from sae_merge_method.artifacts.attribution_summary import AttributionSummary
from sae_merge_method.layers import Unit, how_open
from sae_merge_method.reports.grid import Cell, Grid
from sae_merge_method.reports.numbers import percent, signed_decimal

_PLACES = 5
HOW_CARRIED = (
    "Nats a predicted token, from the slope of the loss summed along the way from base to donor (after "
    "integrated gradients, arXiv 1703.01365, for weights): all layers together, and what lies outside them, "
    "add up to what the whole donor does."
)
"""How the table is read."""


def carried_grid(summary: AttributionSummary, edited: Collection[Unit]) -> Grid:
    """One row a layer; edited ones are marked.

    Args:
        summary: Of an attribution.
        edited: Layers of the edit that is reported, whole or in part.
    """
    damages = [f"damage to {control.name}" for control in summary.controls]
    ways = [how_open(one.layer, edited) for one in summary.layers]
    header = ("layer", "edited", f"gain on {summary.target.name}", "share", *damages)
    rows = tuple(
        (
            Cell(str(one.layer), one.layer),
            Cell(how, strong=bool(how)),
            Cell(signed_decimal(one.gain, _PLACES), one.gain),
            Cell(percent(one.share), one.share),
            *(Cell(signed_decimal(damage, _PLACES), damage) for damage in one.damage),
        )
        for one, how in zip(summary.layers, ways, strict=True)
    )
    marked = frozenset(nth for nth, how in enumerate(ways) if how)
    return Grid(header, rows, words=frozenset(("layer", "edited")), marked=marked)
