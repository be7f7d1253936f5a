"""The three files of a report: written together, the same bytes wherever they lie."""

from pathlib import Path

import pytest

from sae_merge_method.artifacts.experiment import read_experiment
from sae_merge_method.errors import ArtifactError
from sae_merge_method.experiment.report.tables import as_table
from sae_merge_method.experiment.report.write import report_experiment
from tests.experiment.report.folders import BASE, EVERY_KIND, PICK, Laid, lay_out

FILES = ("experiment.html", "experiment.json", "experiment.md")


def test_the_same_arms_give_the_same_bytes_wherever_the_folder_lies(folder: Path, tmp_path: Path) -> None:
    other = lay_out(tmp_path / "renamed", EVERY_KIND)
    report_experiment(other)
    for name in FILES:
        assert (other / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_record_reads_back(folder: Path) -> None:
    assert read_experiment(folder) == report_experiment(folder)


def test_a_damaged_arm_leaves_the_last_report_as_it_was(tmp_path: Path) -> None:
    lay_out(tmp_path, EVERY_KIND[:2])
    report_experiment(tmp_path)
    before = [(tmp_path / name).read_bytes() for name in FILES]
    (tmp_path / "arms" / "stethoscope" / "arm.json").write_text("{")
    with pytest.raises(ArtifactError):
        report_experiment(tmp_path)
    assert [(tmp_path / name).read_bytes() for name in FILES] == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["arms", *FILES, "plan.json"]


def test_what_is_not_done_is_said_in_all_three(tmp_path: Path) -> None:
    lay_out(tmp_path, [BASE, PICK, Laid("scalpel", (1, 1), done=False)])
    text = as_table(report_experiment(tmp_path))
    assert "Not done: scalpel" in text
    assert "- not done: scalpel" in (tmp_path / "experiment.md").read_text()
    assert "<dt>not done</dt><dd>scalpel</dd>" in (tmp_path / "experiment.html").read_text()
