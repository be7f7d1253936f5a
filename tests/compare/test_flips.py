"""Problems whose answer flipped, side by side."""

from pathlib import Path

from sae_merge_method.compare.evaluation import open_evaluations
from sae_merge_method.compare.flips import render_flips
from tests.compare.conftest import compared
from tests.evaluations import NUM_THEORY, Write, answers, results


def test_flips_are_shown_side_by_side(logged: tuple[Path, Path]) -> None:
    base, edited = open_evaluations(logged)
    shown = render_flips(compared(*logged), base, edited, most=1, width=80)
    assert shown.startswith(f"{logged[0]} > {logged[1]}\n")
    assert f"{NUM_THEORY}: 12 newly right, 1 shown" in shown
    assert f"{NUM_THEORY}: 2 newly wrong, 1 shown" in shown
    assert "problem 20: What is 20 + 20?\ntarget: 40\n" in shown
    assert [line.split() for line in shown.splitlines() if "It is 40." in line] == [
        ["It", "is", "not", "known", "to", "me.", "|", "It", "is", "40."]
    ]


def test_an_answer_cannot_steer_the_terminal(write: Write) -> None:
    rows = [{**row, "resps": [["\x1b[2Jgone"]]} for row in answers([1, 0])]
    paths = [
        write(name, results({NUM_THEORY: (1, 2)}), samples={NUM_THEORY: samples})
        for name, samples in (("base", answers([0, 1])), ("edited", rows))
    ]
    base, edited = open_evaluations(paths)
    shown = render_flips(compared(*paths), base, edited, most=1, width=80)
    assert "\x1b" not in shown
    assert "\\x1b[2Jgone" in shown


def test_where_samples_were_not_logged_that_is_said(write: Write) -> None:
    paths = write("base", results({NUM_THEORY: (1, 9)})), write("edited", results({NUM_THEORY: (2, 9)}))
    base, edited = open_evaluations(paths)
    shown = render_flips(compared(*paths), base, edited, most=1, width=80)
    assert f"{NUM_THEORY}: no flips to show, no samples were logged" in shown
