"""The tour runs from top to bottom on a tiny miniature, and shows what it promises."""

import json
import re

import pytest

from tests.notebooks.conftest import TOUR
from tests.notebooks.execute import code_cells


def _shown(displays, call):
    """The display of the cell in which ``call`` stands."""
    (nth,) = [nth for nth, cell in enumerate(code_cells(TOUR)) if call in "".join(cell["source"])]
    return displays[nth]


@pytest.mark.parametrize(
    ("call", "column"),
    [
        ("sm.diagnose(", "explained"),
        ("sm.merge(", "tensors"),
        ("sm.energy(", "chance"),
        ("sm.compare(", "verdict"),
        ("sm.run_experiment(", "arm"),
    ],
)
def test_an_artifact_is_shown_as_a_table(tour, call, column):
    page = _shown(tour[0], call)["text/html"]
    assert "<table" in page
    assert column in page


def test_the_merge_is_proved(tour):
    lines = _shown(tour[0], "sm.verify(")["stdout"].splitlines()
    assert any(line.split()[0] == "proved" for line in lines)
    assert not [line for line in lines if "VIOLATED" in line]


def test_everything_lies_in_its_folder(tour):
    for file in (
        "diagnosis/diagnosis.html",
        "recipe.yml",
        "out/edit_report.json",
        "experiment/experiment.html",
    ):
        assert (tour[1] / file).is_file(), file
    assert not (tour[1].parent / "diagnosis").exists()


def test_the_experiment_has_the_arms_it_was_asked_for(tour):
    page = _shown(tour[0], "sm.run_experiment(")["text/html"]
    assert all(arm in page for arm in ("base", "stethoscope", "random-layers-0"))


def test_only_what_the_reader_asks_for_is_displayed(tour):
    printing = [nth for nth, cell in enumerate(code_cells(TOUR)) if "print(" in "".join(cell["source"])]
    assert [nth for nth, shown in enumerate(tour[0]) if shown["stdout"]] == printing


def test_the_notebook_is_committed_without_outputs_and_holds_nothing_of_a_machine():
    for cell in code_cells(TOUR):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
    notebook = json.loads(TOUR.read_text(encoding="utf-8"))
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    assert not re.search(r"(/home|/root|/Users|/tmp|[A-Z]:\\\\)", TOUR.read_text(encoding="utf-8"))
