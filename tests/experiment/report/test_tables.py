"""The tables of terminal, Markdown and page."""

from dataclasses import replace
from pathlib import Path

from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.experiment.report.tables import as_table, short_names, subject_grid
from tests.experiment.report.folders import BASE, PICK, collected


def test_a_subject_is_strong_only_after_holm(tmp_path: Path) -> None:
    experiment = collected(tmp_path, [BASE, replace(PICK, right=(33, 11))])
    algebra = experiment.arms[1].subjects[0]
    assert algebra.p is not None and algebra.p < 0.05
    assert [cell.strong for cell in subject_grid(experiment).rows[1]] == [False, False, False]


def test_the_terminal_has_a_line_an_arm_and_a_line_a_claim(experiment: Experiment) -> None:
    lines = as_table(experiment).splitlines()
    assert lines[0].split()[:2] == ["arm", "layers"]
    names = [line.split()[0] for line in lines[2:] if line]
    assert names[:3] == ["base", "*stethoscope", "all-layers"]
    assert "layer" in names and "layer-0" not in names
    assert sum(line.startswith("- ") for line in lines) == len(experiment.conclusions)
    assert max(map(len, lines[lines.index("") :])) <= 110


def test_without_general_text_there_are_no_columns_for_it(tmp_path: Path) -> None:
    text = as_table(collected(tmp_path, [BASE, PICK]))
    assert "general loss" not in text and "damage t " not in text


def test_names_of_subjects_lose_what_they_share() -> None:
    assert short_names(["minerva_math_sae_num_theory", "minerva_math_sae_algebra"]) == (
        "num theory",
        "algebra",
    )
    assert short_names(["gsm8k"]) == ("gsm8k",)
    assert short_names(["a", "a_b"]) == ("a", "a b")
