"""The arms of a recipe's controls as their command shows them: what they add, and what is stored of it."""

import textwrap
from collections.abc import Sequence

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.realised import swallowed_among
from sae_merge_method.layers import format_layers
from sae_merge_method.reports.grid import NOTHING, Cell, Grid
from sae_merge_method.reports.numbers import energy
from sae_merge_method.verdict_tables.realised import how_to_read_realised, realised_cells, realised_header

_HEADER = ("arm", "energy", *realised_header(), "matched", "layers")


def arms_grid(arms: Sequence[ArmIdentity]) -> Grid:
    """A row an arm."""
    return Grid(
        _HEADER,
        tuple(map(_row, arms)),
        words=frozenset(("arm", "matched", "layers")),
        ruled=frozenset((0,)),
    )


def arms_notes(arms: Sequence[ArmIdentity], kind: str) -> list[str]:
    """How the columns are read, and which arms rounding leaves little of.

    Args:
        arms: As they are shown.
        kind: How the recipe rounds, one of :data:`~sae_merge_method.models.rounding.ROUNDINGS`.
    """
    words = (
        "energy: squared norm of what is to be added; matched: how an arm that is to have another's energy "
        "gets it, scaled until what is stored is equal (realised), under stochastic rounding what is to be "
        f"added (intended), or written as float32; {how_to_read_realised([kind])}. "
        "What is stored is what rounding is expected to leave, from a sample of each tensor."
    )
    notes = textwrap.wrap(words, 100)
    edits = {arm.name: arm.planned_realised for arm in arms}
    note = swallowed_among({name: (edit, kind) for name, edit in edits.items() if edit is not None})
    return notes if note is None else [*notes, f"warning: {note}"]


def _row(arm: ArmIdentity) -> tuple[Cell, ...]:
    planned = arm.planned_energy or 0.0
    return (
        Cell(arm.name),
        Cell(energy(planned), planned),
        *realised_cells(arm.planned_realised),
        Cell(arm.matched or NOTHING),
        Cell(format_layers(arm.layers)),
    )
