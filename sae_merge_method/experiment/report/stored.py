"""What the merged arms of an experiment were to add, and what rounding left of it: a table and a warning."""

from sae_merge_method.artifacts.experiment import Experiment, MeasuredArm
from sae_merge_method.artifacts.realised import Realised, swallowed_among
from sae_merge_method.models.rounding import ROUNDINGS
from sae_merge_method.reports.grid import NOTHING, Cell, Grid
from sae_merge_method.reports.numbers import energy
from sae_merge_method.verdict_tables.realised import how_to_read_realised, realised_cells, realised_header

_HEADER = ("arm", "rounding", "intended", *realised_header(), "energy of another")


def stored_grid(experiment: Experiment) -> Grid | None:
    """A row for each arm that was merged and adds something; None where there is none."""
    arms = [(arm, arm.realised) for arm in experiment.arms if arm.realised and arm.realised.share is not None]
    if not arms:
        return None
    return Grid(
        _HEADER,
        tuple(_row(arm, edit) for arm, edit in arms),
        words=frozenset(("arm", "rounding", "energy of another")),
        marked=frozenset(number for number, (arm, _) in enumerate(arms) if arm.role == "selected"),
    )


def stored_words(experiment: Experiment) -> str:
    """How that table is read."""
    kinds = [arm.rounding for arm in experiment.arms if arm.rounding is not None]
    words = (
        "What each merged arm was to add, and what the stored dtype holds of it. intended: squared norm of "
        "what was to be added; energy of another: how an arm got it, scaled until what is stored is equal "
        f"(realised), or written as float32; {how_to_read_realised(kinds)}"
    )
    if any(ROUNDINGS[kind].unbiased for kind in kinds):
        words += ": there energies are equal in what was to be added (intended)"
    return f"{words}."


def swallowed_arms(experiment: Experiment) -> list[str]:
    """A sentence on arms of whose edit rounding leaves too little; none where it leaves enough of all."""
    note = swallowed_among(
        {
            arm.name: (arm.realised, arm.rounding)
            for arm in experiment.arms
            if arm.realised is not None and arm.rounding is not None
        }
    )
    return [] if note is None else [note]


def _row(arm: MeasuredArm, edit: Realised) -> tuple[Cell, ...]:
    return (
        Cell(arm.name),
        Cell(arm.rounding or NOTHING),
        Cell(energy(edit.intended_energy), edit.intended_energy),
        *realised_cells(edit),
        Cell(arm.matched or NOTHING),
    )
