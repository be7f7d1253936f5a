"""What is stored of an edit reads alike in every table of edits."""

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.edit_preview import EditPreview
from sae_merge_method.artifacts.experiment import Experiment, MeasuredArm
from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.controls.show import arms_grid, arms_notes
from sae_merge_method.experiment.report.stored import stored_grid, stored_words
from sae_merge_method.geometry.realised import EditSums
from sae_merge_method.merge.show import preview_view
from sae_merge_method.reports.grid import Grid
from sae_merge_method.verdict_tables.realised import how_to_read_realised, realised_cells, realised_header
from tests.reports.records import filled

FIGURES = Realised.figures(EditSums(intended=2469.0, realised=1234.5, along=1234.5, changed=1, values=8))
TINY = Realised.figures(EditSums(intended=0.000246, realised=0.000123, along=0.0, changed=0, values=8))
NEAREST = "nearest"


def tables(kind: str) -> list[tuple[Grid | None, str]]:
    """Every table of edits with a row of the same one, and how it is read."""
    edit = Realised(**FIGURES)
    view = preview_view(EditPreview(**FIGURES, rounding=kind, layers=(), kept=0, only_mergekit=None))
    planned = [filled(ArmIdentity, "arm").model_copy(update={"planned_realised": edit})]
    arm = filled(MeasuredArm, "arm").model_copy(update={"realised": edit, "rounding": kind})
    experiment = filled(Experiment, "arms").model_copy(update={"arms": (arm,)})
    return [
        (view.grids[0], " ".join(view.tail)),
        (arms_grid(planned), " ".join(arms_notes(planned, kind))),
        (stored_grid(experiment), stored_words(experiment)),
    ]


def test_energies_of_any_size_read_as_numbers():
    texts = [realised_cells(Realised(**figures))[0].text for figures in (FIGURES, TINY)]
    assert texts == ["1234.5", "0.000123"]


def test_of_an_edit_that_is_not_known_every_column_says_so():
    assert [cell.text for cell in realised_cells(None)] == ["-"] * len(realised_header())


def test_every_table_has_the_same_cells_under_the_same_headings():
    cells = realised_cells(Realised(**FIGURES))
    assert [cell.text for cell in cells] == ["1234.5", "50.00%", "0.500", "0.707", "12.50%"]
    for grid, _ in tables(NEAREST):
        assert grid is not None
        kept = grid.header.index("kept")
        assert grid.header[kept - 1 : kept + 4] in (realised_header("energy"), realised_header())
        assert [row[kept - 1 : kept + 4] for row in grid.rows] == [cells]


def test_every_table_is_read_alike():
    for kind in (NEAREST, "stochastic"):
        for stored, (_, words) in zip(("energy", "stored", "stored"), tables(kind), strict=True):
            told = how_to_read_realised([kind], stored)
            assert told in words
            assert ("hold its noise" in told) == (kind == "stochastic")
