"""One table, drawn for every reader."""

import csv
import io

import pytest

from sae_merge_method.reports.grid import (
    Cell,
    Grid,
    as_csv,
    as_html,
    as_latex,
    as_markdown,
    as_text,
    plain_grid,
    with_content,
)

GRID = Grid(
    header=("arm", "z"),
    rows=((Cell("base"), Cell("")), (Cell("a_b"), Cell("+3.41", 3.407, strong=True))),
    words=frozenset({"arm"}),
    marked=frozenset({1}),
    ruled=frozenset({0}),
    title="Arms",
)


def test_text_has_words_left_numbers_right_and_an_asterisk_before_a_marked_row():
    assert as_text(GRID).splitlines() == ["Arms", "arm       z", "-----------", "base", "*a_b  +3.41"]


def test_a_rule_stands_above_each_ruled_row_and_no_other():
    lines = as_text(GRID._replace(ruled=frozenset({1}), title="")).splitlines()
    assert [line[0] for line in lines] == ["a", "b", "-", "*"]
    assert "--" not in as_text(GRID._replace(ruled=frozenset()))


def test_markdown_aligns_like_text_and_makes_strong_cells_and_marked_rows_bold():
    assert as_markdown(GRID).splitlines() == [
        "**Arms**", "", "| arm | z |", "| --- | ---: |", "| base |  |", "| **a_b** | **+3.41** |",
    ]  # fmt: skip


def test_the_first_cell_of_a_marked_row_is_bold_once_even_if_it_is_strong():
    grid = Grid(("z",), ((Cell("1", strong=True),),), marked=frozenset({0}))
    assert as_markdown(grid).splitlines()[-1] == "| **1** |"


def test_html_has_values_to_sort_by_and_marks_words_and_rows():
    page = as_html(GRID, "sortable")
    assert '<table class="sortable"><thead><tr><th class="text">arm</th><th>z</th></tr></thead>' in page
    assert '<tr><td class="text" data-value="">base</td><td data-value=""></td></tr>' in page
    assert (
        '<tr class="chosen"><td class="text" data-value="">a_b</td><td data-value="3.407"><b>+3.41</b></td>'
        in page
    )
    assert "<table><thead>" in as_html(GRID)


def test_html_colours_numbers_and_nothing_else():
    page = as_html(GRID, colour=lambda value: f"rgb({value:.0f} 0 0)")
    assert page.count("style=") == 1
    assert '<td style="background: rgb(3 0 0)" data-value="3.407">' in page


def test_latex_is_a_booktabs_table_whose_text_is_escaped():
    assert as_latex(GRID).splitlines() == [
        r"\begin{tabular}{lr}", r"\toprule", r"arm & z \\", r"\midrule", r"base &  \\", r"a\_b & +3.41 \\",
        r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip
    assert as_latex(GRID).endswith("}\n")


def test_csv_is_unrounded():
    assert list(csv.reader(io.StringIO(as_csv(GRID)))) == [["arm", "z"], ["base", ""], ["a_b", "3.407"]]
    assert as_csv(GRID).count("\n") == 3


HOSTILE = "a|b<c>`d`*e*[f](g)\n&h"


@pytest.mark.parametrize(
    ("draw", "shown"),
    [
        (as_html, "a|b&lt;c&gt;`d`*e*[f](g)\n&amp;h"),
        (as_markdown, r"| a\|b\<c\>\`d\`\*e\*\[f\](g) &h |"),
        (
            as_latex,
            r"a\textbar{}b\textless{}c\textgreater{}\textasciigrave{}d\textasciigrave{}{*}e{*}{[}f{]}(g) \&h",
        ),
    ],
)
def test_text_from_elsewhere_stays_text(draw, shown):
    grid = plain_grid(("name",), [(HOSTILE,)])
    assert shown in draw(grid)
    assert shown in draw(plain_grid((HOSTILE,), []))


def test_columns_without_content_go_but_those_to_keep():
    grid = plain_grid(("a", "b", "c", "d"), [("", "", "x", ""), ("", "", "", "")], words=("a",))
    assert with_content(grid).header == ("c",)
    kept = with_content(grid, keep=2)
    assert kept.header == ("a", "b", "c")
    assert [[cell.text for cell in row] for row in kept.rows] == [["", "", "x"], ["", "", ""]]
    assert kept.words == {"a"}


def test_a_plain_grid_is_of_text_alone():
    grid = plain_grid(["a"], [["1"]])
    assert grid == Grid(("a",), ((Cell("1", None, False),),))
