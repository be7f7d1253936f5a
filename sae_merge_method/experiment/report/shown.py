"""The tables of an experiment's report, in their order, each with how it is read: for Markdown and page.

What is in a table is the affair of ``tables``, and what stands between them that of each form.
"""

from collections.abc import Callable
from typing import NamedTuple

from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.experiment.report.stored import stored_grid, stored_words
from sae_merge_method.experiment.report.tables import (
    arm_grid,
    curve_grid,
    layer_grid,
    projection_grid,
    subject_grid,
)
from sae_merge_method.experiment.report.words import (
    HOW_TO_READ_SUBJECTS,
    curve_words,
    how_to_read_arms,
    layer_words,
)
from sae_merge_method.reports.grid import Grid
from sae_merge_method.verdict_tables.attributed import HOW_CARRIED, carried_grid


class Shown(NamedTuple):
    """A table under its heading."""

    heading: str
    grid: Callable[[Experiment], Grid | None]
    """None where the experiment measured nothing of it."""
    words: Callable[[Experiment], str]
    """How it is read; asked only where there is a table."""
    is_sortable: bool = True
    """Whether a page lets its readers sort the rows."""
    is_coloured: bool = False
    """Whether its numbers are z, by which a page colours the cells."""
    is_of_arms: bool = False
    """Whether it is the table of all arms: beside it, once for all tables, Markdown tells where the pick
    stands and what each arm is for, and a page that columns sort."""


def _projection(experiment: Experiment) -> Grid | None:
    return None if experiment.projection is None else projection_grid(experiment.projection)


_KEPT = "Share of the task vector's energy in the selected layers that a subspace keeps."


def _carried(experiment: Experiment) -> Grid | None:
    summary = experiment.attribution
    return None if summary is None else carried_grid(summary, experiment.layers)


def _carried_words(experiment: Experiment) -> str:
    """What the table says in short."""
    summary = experiment.attribution
    if summary is None:
        return ""
    return " ".join((*summary.sentences(experiment.layers), HOW_CARRIED))


SHOWN = (
    Shown("Arms", arm_grid, how_to_read_arms, is_of_arms=True),
    Shown("Beside the damping curve", curve_grid, curve_words),
    Shown("What is stored", stored_grid, stored_words),
    Shown("Subjects", subject_grid, lambda experiment: HOW_TO_READ_SUBJECTS, is_coloured=True),
    Shown("Projection", _projection, lambda experiment: _KEPT, is_sortable=False),
    Shown("Single layers", layer_grid, layer_words),
    Shown("What each layer carries", _carried, _carried_words),
)
