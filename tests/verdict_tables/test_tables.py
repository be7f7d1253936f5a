"""The tables of one comparison or several: one unit a column, one order of rows, and the words around them."""

import pytest

from sae_merge_method.artifacts.comparison import ComparisonSet, Side
from sae_merge_method.compare.run import compare
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.publish.measured import verdict_section
from sae_merge_method.reports.grid import as_markdown
from sae_merge_method.verdict_tables.tables import tables, verdict_table
from tests.comparisons import comparison, subject
from tests.evaluations import BASE, BETTER, NUM_THEORY, WORSE, Write, results, scored


def shown(grid, heading: str) -> list[str]:
    column = grid.header.index(heading)
    return [row[column].text for row in grid.rows]


def test_two_tasks_of_bits_per_byte_are_shown_in_one_unit_by_compare_and_by_the_model_card(
    write: Write,
) -> None:
    base = write("base", scored("bits_per_byte", {"prose": 0.85, "code": 1.2}, higher_is_better=False))
    edited = write("edited", scored("bits_per_byte", {"prose": 0.8, "code": 1.3}, higher_is_better=False))
    compared = compare(base, edited, settings=CompareSettings(metric="bits_per_byte"))
    assert shown(verdict_table(compared), "base") == ["0.85", "1.2", "1.025"]
    assert shown(verdict_table(compared), "diff") == ["-0.05", "+0.1", "+0.025"]
    card = verdict_section(compared)
    assert "| prose | 100 | 0.85 | 0.8 | -0.05 |" in card
    assert "| code | 100 | 1.2 | 1.3 | +0.1 |" in card
    assert "%" not in card


def test_what_should_fall_is_no_share_even_where_it_is_below_one(write: Write) -> None:
    below = comparison(subject("prose", 0.85, 0.8, "improved", 0.01, True, higher_is_better=False))
    assert shown(verdict_table(below), "base") == ["0.85"]


def test_several_models_are_shown_in_one_unit(write: Write) -> None:
    good = comparison(subject("prose", 0.85, 0.8, "not shown", 0.5, False))
    bad = comparison(subject("prose", 0.85, 1.2, "not shown", 0.5, False))
    assert shown(verdict_table(ComparisonSet(comparisons=(good, bad))), "base") == ["0.85", "0.85"]
    assert shown(verdict_table(ComparisonSet(comparisons=(good, good))), "base") == ["85.0%", "85.0%"]


def test_the_model_card_shows_the_table_that_compare_shows() -> None:
    compared = comparison()
    assert as_markdown(verdict_table(compared)) in verdict_section(compared)


def test_several_models_share_one_table(write: Write) -> None:
    paths = [write("base", results(BASE, model_name="org/base"))]
    for name, tasks in (("better", BETTER), ("worse", WORSE)):
        paths.append(write(name, results(tasks, model_name=f"org/{name}")))
    compared = compare(*paths)
    grid = verdict_table(compared)
    assert grid.header[:2] == ("subject", "edited by")
    assert [(row[0].text, row[1].text) for row in grid.rows][2:] == [
        (NUM_THEORY, "better"),
        (NUM_THEORY, "worse"),
        ("all tasks", "better"),
        ("all tasks", "worse"),
    ]
    words = str(compared)
    assert "better: 1 improved, 0 degraded, 1 not shown" in words
    assert "worse: 0 improved, 1 degraded, 1 not shown" in words
    assert "edited: org/better (better)" in words


def test_a_subject_that_only_some_models_have_stands_with_those() -> None:
    sides = [
        Side(label=name, model=name, results="r.json", lm_eval_version=None, result_sha256=None)
        for name in "ab"
    ]
    both = [subject(task, 0.2, 0.3, "not shown", 0.5, False) for task in ("one", "two")]
    compared = ComparisonSet(
        comparisons=(comparison(*both, edited=sides[0]), comparison(both[1], edited=sides[1]))
    )
    grid = verdict_table(compared)
    assert [(row[0].text, row[1].text) for row in grid.rows] == [("one", "a"), ("two", "a"), ("two", "b")]


def test_groups_come_last_corrected_among_themselves() -> None:
    group = subject("all", 0.2, 0.5, "improved", 0.001, True, p_adjusted=0.001)
    grid = verdict_table(
        comparison(subject("one", 0.2, 0.5, "improved", 0.04, False, p_adjusted=0.08), groups=(group,))
    )
    assert shown(grid, "subject") == ["one", "all"]
    assert shown(grid, "p Holm") == ["0.0800", "0.0010"]
    assert shown(grid, "verdict") == ["improved, not by Holm", "improved"]
    assert [row[-1].strong for row in grid.rows] == [False, True]


@pytest.mark.parametrize(("correction", "heading"), [("holm", "p Holm"), ("bh", "p BH"), ("none", None)])
def test_the_corrected_p_is_headed_by_the_correction(correction: str, heading: str | None) -> None:
    header = verdict_table(comparison(correction=correction)).header
    assert [name for name in header if name.startswith("p ")] == ([heading] if heading else [])


def test_tables_without_content_are_left_out() -> None:
    (verdict, detail) = tables(comparison())
    assert verdict.title == ""
    assert (detail.title, detail.header) == (
        "Intervals, and the same problems paired",
        ("subject", "test", "detectable"),
    )


def test_where_nothing_can_be_tested_the_reason_is_printed(write: Write) -> None:
    base = write("base", results({"one": (0, 1), NUM_THEORY: (0, 9)}))
    edited = write("edited", results({"one": (1, 1), NUM_THEORY: (9, 9)}))
    words = str(compare(base, edited, settings=CompareSettings(test="lm_eval")))
    assert "0 improved, 0 degraded, 0 not shown, 2 not tested" in words
    assert "one: not tested, n = 1" in words
    assert f"{NUM_THEORY}: not tested, zero variance on both sides" in words
