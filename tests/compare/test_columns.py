"""A column is one row of a table: whoever shows a comparison shows it."""

import csv
import io

import pytest

from sae_merge_method.compare.columns import COLUMNS, TABLES, Column
from sae_merge_method.compare.render import FORMATS
from sae_merge_method.compare.table import verdict_table
from sae_merge_method.publish.sections import verdict_section
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
    assert (cells["p"].text, cells["p"].value) == ("0.0007", 0.00066)
    assert (cells["base"].text, cells["base"].value) == ("29.6%", 160 / 540)
    assert cells["verdict"].strong
