"""A column is one row of a table: whoever shows a comparison shows it."""

import csv
import io

import pytest

from sae_merge_method.compare.render import FORMATS
from sae_merge_method.publish.measured import verdict_section
from sae_merge_method.verdict_tables.column import Column
from sae_merge_method.verdict_tables.columns import COLUMNS, TABLES
from sae_merge_method.verdict_tables.tables import verdict_table
from tests.comparisons import comparison


@pytest.fixture
def odds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new column: one row, in a few lines."""

    def ratio(row) -> float:
        base, edited = row.subject.base, row.subject.edited
        return edited / (1 - edited) / (base / (1 - base))

    column = Column("odds", "odds ratio", "verdict", lambda row: f"{ratio(row):.2f}", {"odds_ratio": ratio})
    monkeypatch.setitem(COLUMNS, "odds", column)


def test_a_new_column_is_in_the_table_in_markdown_in_latex_in_csv_and_in_the_model_card(odds: None) -> None:
    compared = comparison()
    expected = (213 / 327) / (160 / 380)
    for style in ("table", "markdown", "latex"):
        printed = FORMATS[style].render(compared)
        assert "odds ratio" in printed
        assert f"{expected:.2f}" in printed
    row = next(csv.DictReader(io.StringIO(FORMATS["csv"].render(compared))))
    assert float(row["odds_ratio"]) == pytest.approx(expected)
    assert f"| {expected:.2f} |" in verdict_section(compared)
    assert f"| {expected:.2f} |" not in verdict_section(comparison(comparison().subjects[1]))


def test_every_column_is_in_a_table_or_in_csv_alone_and_its_names_are_its_own() -> None:
    names = [name for column in COLUMNS.values() for name in column.values]
    assert len(set(names)) == len(names)
    for name, column in COLUMNS.items():
        assert column.name == name
        assert column.values
        assert column.table is None or column.table in TABLES


def test_a_cell_holds_the_number_that_it_shows() -> None:
    cells = dict(zip(verdict_table(comparison()).header, verdict_table(comparison()).rows[0], strict=True))
    assert (cells["paper's p"].text, cells["paper's p"].value) == ("0.0007", 0.00066)
    assert (cells["base"].text, cells["base"].value) == ("29.6%", 160 / 540)
    assert cells["verdict"].strong


def test_the_papers_z_keeps_its_column_whatever_the_verdict_is_by() -> None:
    one, other = comparison().subjects
    paired = one.model_copy(update={"test": "mcnemar", "z": None, "p": 0.0001})
    grid = verdict_table(comparison(paired, other))
    header = grid.header[grid.header.index("diff") + 1 :]
    assert header == ("paper's z", "paper's p", "p", "p Holm", "verdict")
    assert [[cell.text for cell in row[5:8]] for row in grid.rows] == [
        ["+3.41", "0.0007", "0.0001"],
        ["+0.20", "0.9000", "0.9000"],
    ]
    # Where the paper's is the test there is one p.
    assert "p" not in verdict_table(comparison()).header
