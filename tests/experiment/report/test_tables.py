"""The tables of terminal, Markdown and page."""

from dataclasses import replace
from pathlib import Path

import pytest

from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.experiment.report.markdown import as_markdown
from sae_merge_method.experiment.report.tables import arm_grid, as_table, short_names, subject_grid
from sae_merge_method.experiment.report.words import how_to_read_arms, notes
from tests.evaluations import results
from tests.experiment.report.folders import ALGEBRA, BASE, GEOMETRY, PICK, PROBLEMS, collected


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


def test_the_share_of_answers_that_were_found_stands_beside_the_score(tmp_path: Path) -> None:
    answers = {ALGEBRA: (0.04, 0.75), GEOMETRY: (0.10, 0.90)}
    arms = []
    for nth, arm in enumerate((BASE, PICK)):
        counts = dict(zip(PROBLEMS.items(), arm.right, strict=True))
        file = results({task: (right, n) for (task, n), right in counts.items()})
        for task, shares in answers.items():
            file["results"][task]["answer_found,none"] = shares[nth]
        arms.append(replace(arm, changes={"results": file["results"]}))
    experiment = collected(tmp_path, arms)
    # Of 100 and 50 problems: (4 + 5) / 150 and (75 + 45) / 150.
    assert [arm.answered for arm in experiment.arms] == [pytest.approx(0.06), pytest.approx(0.80)]
    grid = arm_grid(experiment)
    assert grid.header[2:7] == ("exact_match", "answered", "delta", "p", "paper's z")
    assert [row[3].text for row in grid.rows] == ["6.0%", "80.0%"]
    assert "answered: share of problems with a final answer" in how_to_read_arms(experiment)


@pytest.mark.parametrize(
    ("cut_off", "answered", "words"),
    [
        (
            0.97,
            None,
            "97.00% of the answers or more are as long as the token limit, so generations were cut off",
        ),
        (0.1, 0.02, "a final answer was found to 2.00% of the problems or fewer"),
        (0.1, 0.9, "Every arm scores 0, so nothing can be told of them."),
    ],
)
def test_that_every_arm_is_at_zero_is_said_with_its_cause(
    tmp_path: Path, cut_off: float, answered: float | None, words: str
) -> None:
    file = results({task: (0, n) for task, n in PROBLEMS.items()})
    for row in file["results"].values():
        row |= {} if answered is None else {"answer_found,none": answered}
    changes = {"results": file["results"]}
    arms = [replace(arm, right=(0, 0), cut_off=cut_off, changes=changes) for arm in (BASE, PICK)]
    experiment = collected(tmp_path, arms)
    assert words in notes(experiment)[0]
    assert as_markdown(experiment).count("Every arm scores 0") == 1
    better = experiment.arms[1].model_copy(
        update={"overall": experiment.arms[1].overall.model_copy(update={"score": 0.1})}
    )
    assert not any(
        "Every arm" in note
        for note in notes(experiment.model_copy(update={"arms": (experiment.arms[0], better)}))
    )


def test_names_of_subjects_lose_what_they_share() -> None:
    assert short_names(["minerva_math_sae_num_theory", "minerva_math_sae_algebra"]) == (
        "num theory",
        "algebra",
    )
    assert short_names(["gsm8k"]) == ("gsm8k",)
    assert short_names(["a", "a_b"]) == ("a", "a b")
