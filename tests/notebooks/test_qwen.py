"""The notebook for a free GPU runs from top to bottom with a miniature in its model's place."""

import re

from sae_merge_method.recipes.suites import SUITE_MODELS
from tests.notebooks.conftest import QWEN
from tests.notebooks.execute import code_cells, run_cell


def test_it_is_ten_cells_that_show_what_they_promise(qwen):
    assert len(qwen.displays) == 10
    for call, column in (("sm.diagnose(", "explained"), ("sm.merge(", "tensors"), ("sm.compare(", "verdict")):
        assert column in qwen.shown(QWEN, call)["text/html"]


def test_its_merge_is_proved(qwen):
    lines = qwen.shown(QWEN, "sm.verify(")["stdout"].splitlines()
    assert any(line.split()[0] == "proved" for line in lines)
    assert not [line for line in lines if "VIOLATED" in line]


def test_its_seven_subjects_have_a_verdict(qwen):
    assert qwen.shown(QWEN, "p_adjusted")["text/plain"].count("not shown") >= 7


def test_its_model_and_saes_are_those_of_the_table():
    names = {}
    run_cell("".join(code_cells(QWEN)[0]["source"]), names)
    (row,) = [row for row in SUITE_MODELS.values() if row.model == names["base"]]
    assert (names["sae"], names["sae_id"]) == (row.sae, row.sae_id)


def test_it_is_committed_without_outputs_and_holds_nothing_of_a_machine():
    for cell in code_cells(QWEN):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert not re.search(r"(/home|/root|/Users|/tmp|[A-Z]:\\\\)", QWEN.read_text(encoding="utf-8"))
