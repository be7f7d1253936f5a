"""The arms of a recipe's controls as their command shows them: what they add, and what is stored of it."""

from collections.abc import Sequence

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.geometry.realised import LEAST_COSINE
from sae_merge_method.layers import format_layers
from sae_merge_method.reports.grid import NOTHING, Cell, Grid
from sae_merge_method.reports.numbers import decimal, energy, percent

_HEADER = ("arm", "energy", "stored", "kept", "along", "cosine", "changed", "matched", "layers")


def arms_grid(arms: Sequence[ArmIdentity]) -> Grid:
    """A row an arm."""
    return Grid(
        _HEADER,
        tuple(map(_row, arms)),
        words=frozenset(("arm", "matched", "layers")),
        ruled=frozenset((0,)),
    )


def arms_notes(arms: Sequence[ArmIdentity]) -> list[str]:
    """How the columns are read, and which arms rounding leaves little of."""
    notes = [
        "energy: squared norm of what is to be added; stored: of what rounding is expected to",
        "leave, from a sample of each tensor; kept: that share; along: its component along what is added;",
        "matched: how an arm that is to have another's energy gets it, scaled until what is stored is equal",
        "(realised), under stochastic rounding what is to be added (intended), or written as float32.",
    ]
    little = [
        arm.name for arm in arms if arm.planned_realised is not None and _is_little(arm.planned_realised)
    ]
    if little:
        notes.append(
            f"warning: rounding leaves a component below {LEAST_COSINE:g} of {', '.join(little)}: "
            "'rounding: stochastic' in the recipe keeps edits on average, 'dtype: float32' keeps them whole"
        )
    return notes


def _is_little(edit: Realised) -> bool:
    """Whether little of the edit itself is stored: stochastic rounding's noise does not count."""
    return edit.component is not None and edit.component < LEAST_COSINE


def _row(arm: ArmIdentity) -> tuple[Cell, ...]:
    edit = arm.planned_realised
    cells = [Cell(NOTHING)] * 5
    if edit is not None:
        cells = [
            Cell(energy(edit.energy), edit.energy),
            Cell(percent(edit.share) or NOTHING, edit.share),
            Cell(decimal(edit.component, 3) or NOTHING, edit.component),
            Cell(decimal(edit.cosine, 3) or NOTHING, edit.cosine),
            Cell(percent(edit.changed), edit.changed),
        ]
    planned = arm.planned_energy or 0.0
    return (
        Cell(arm.name),
        Cell(energy(planned), planned),
        *cells,
        Cell(arm.matched or NOTHING),
        Cell(format_layers(arm.layers)),
    )
