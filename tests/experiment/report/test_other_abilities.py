"""An ability that is not maths: comparison, report and card have its tasks' own words, and none of maths'."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from sae_merge_method.cli.card import command as card
from sae_merge_method.cli.compare import command as compare
from sae_merge_method.experiment.report.write import report_experiment
from tests.experiment.report import folders
from tests.experiment.report.folders import BASE, NATS, PICK, Laid, harmed, lay_out
from tests.merged import Merged


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of an ability to write programs, its files as lm-eval writes them for such tasks."""
    monkeypatch.setattr(folders, "PROBLEMS", {"humaneval": 164, "mbpp": 500})
    arms = [
        replace(BASE, nats=NATS),
        harmed(PICK, 1.0),
        harmed(Laid("all-layers", (70, 40), tuple(range(8))), 9.0),
    ]
    asked = {"model": "hf", "tasks": "humaneval,mbpp"}
    laid = lay_out(tmp_path / "exp", [*arms, Laid("scalpel", (21, 10))], metric="pass@1", evaluation=asked)
    for file in laid.glob("arms/*/results/*/*"):
        file.write_text(file.read_text().replace("exact_match", "pass@1").replace(",none", ",create_test"))
    return laid


def test_report_comparison_and_card_speak_of_the_tasks_that_were_asked(
    experiment: Path, tmp_path: Path, merged: Merged
) -> None:
    report_experiment(experiment)
    sides = [str(experiment / "arms" / arm / "results") for arm in ("base", "stethoscope")]
    words = [*sides, "--metric", "pass@1", "--format", "markdown", "--out", str(tmp_path / "comparison")]
    assert CliRunner().invoke(compare, words, catch_exceptions=False).exit_code == 0
    out = merged.copy(tmp_path / "coder")
    words = [str(out), "--experiment", str(experiment), "--license", "mit", "--allow-unmatched"]
    words += ["--comparison", str(tmp_path / "comparison" / "comparison.json")]
    assert CliRunner().invoke(card, words, catch_exceptions=False).exit_code == 0
    pages = [experiment / "experiment.md", experiment / "experiment.html", out / "README.md"]
    pages += [tmp_path / "comparison" / "comparison.md"]
    for page in pages:
        text = page.read_text()
        assert "humaneval" in text and "pass@1" in text, page
        assert re.search(r"\bmath(s|ematics)?\b|minerva", text, re.IGNORECASE) is None, page
