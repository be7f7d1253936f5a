"""The report of a trial that is laid out by hand: what it says follows from the figures, finished or not."""

import json

import pytest

from tests.trials.laid import lay_out_trial
from trials.record import begin
from trials.report.arms import by_kind, figures, kind_of
from trials.report.read import read_findings
from trials.report.write import contents, write_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return lay_out_trial(tmp_path_factory.mktemp("trial"))


@pytest.fixture(scope="module")
def findings(folder):
    return read_findings(folder.root, "tiny")


def test_every_arm_has_its_gain_and_its_place_beside_the_curve(findings):
    arms = {one.name: one for one in figures(findings.runs[0])}
    assert arms["stethoscope"].gain == pytest.approx((60 - 30) / 150)
    assert arms["stethoscope"].damage.delta > 0
    assert arms["stethoscope"].standing is not None
    assert arms["damped-0.25"].standing is None


def test_arms_of_one_kind_are_taken_together(findings):
    kinds = {one.kind: one for one in by_kind(findings.runs)}
    drawn = [one for one in figures(findings.runs[0]) if kind_of(one.arm) == "random-layers"]
    assert len(drawn) == 3
    assert kinds["random-layers"].donors == 2
    assert kinds["random-layers"].gain == pytest.approx(sum(one.gain for one in drawn) / 3)
    assert "base" not in kinds


def test_sentences_are_made_of_the_figures(findings):
    said, _ = contents(findings)
    texts = {one.text: one.side for one in said}
    blind = next(text for text in texts if "profiles of different abilities" in text)
    assert "+1.00" in blind
    assert texts[blind] == "against"


def test_the_page_says_what_is_missing_and_that_one_model_is_a_lead(folder, tmp_path):
    written = write_report(folder.root, "tiny", tmp_path / "docs")
    page = (tmp_path / "docs" / "tiny.md").read_text()
    assert {file.name for file in written} >= {"report.json", "report.md", "tiny.md", "tiny-curves.png"}
    assert "a lead, not a law" in page
    assert "Not done: no tuned edit of sums-0, words-0" in page
    assert "![Every arm beside the damping curve](tiny-curves.png)" in page
    tables = json.loads((folder.root / "report.json").read_text())["tables"]
    assert {table["title"] for table in tables} >= {
        "What the donors learned",
        "Every arm of every donor sums-0",
    }


def test_the_same_folder_gives_the_same_page(folder, tmp_path):
    write_report(folder.root, "tiny", tmp_path / "one")
    write_report(folder.root, "tiny", tmp_path / "two")
    assert [f.read_bytes() for f in sorted((tmp_path / "one").iterdir())] == [
        f.read_bytes() for f in sorted((tmp_path / "two").iterdir())
    ]


def test_a_trial_of_some_abilities_says_by_which_command_it_is_run(tmp_path):
    folder = lay_out_trial(tmp_path)
    begin(folder, "small", ("sums", "words"), "cpu")
    write_report(folder.root, "smollm2-135m")
    assert "run --model smollm2-135m --abilities sums,words\n" in (folder.root / "report.md").read_text()
