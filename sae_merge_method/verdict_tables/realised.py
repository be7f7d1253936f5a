"""What is stored of an edit, as every table of edits shows it: columns, one edit's cells, how they are read.

What else stands in a row, and what the edit was to add, is the caller's affair.
"""

from collections.abc import Iterable

from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.models.rounding import ROUNDINGS
from sae_merge_method.reports.grid import NOTHING, Cell
from sae_merge_method.reports.numbers import decimal, energy, percent

STORED = "stored"
"""What the first of the columns is called, unless a table calls it otherwise."""


def realised_header(stored: str = STORED) -> tuple[str, ...]:
    """Headings of the columns that :func:`realised_cells` fills."""
    return (stored, "kept", "along", "cosine", "changed")


def realised_cells(edit: Realised | None) -> tuple[Cell, ...]:
    """A cell a column; of an edit that is not known, that nothing is there."""
    if edit is None:
        return (Cell(NOTHING),) * len(realised_header())
    return (
        Cell(energy(edit.energy), edit.energy),
        Cell(percent(edit.share) or NOTHING, edit.share),
        *(Cell(decimal(value, 3) or NOTHING, value) for value in (edit.component, edit.cosine)),
        Cell(percent(edit.changed), edit.changed),
    )


def how_to_read_realised(kinds: Iterable[str], stored: str = STORED) -> str:
    """What the columns mean. No full stop, so that more can be said of it.

    Args:
        kinds: How the edits are rounded, of :data:`~sae_merge_method.models.rounding.ROUNDINGS`.
        stored: What the first of the columns is called.
    """
    words = (
        f"{stored}: squared norm of what is stored less the base; kept: share of that to be added; along: "
        "its component along what was to be added, 1 where all of it is there; cosine: between the two; "
        "changed: share of the edited tensors' values that differ from the base's"
    )
    noisy = [kind for kind in dict.fromkeys(kinds) if ROUNDINGS[kind].unbiased]
    if noisy:
        words += f". Under {' and '.join(noisy)} rounding {stored} and kept hold its noise, along does not"
    return words
