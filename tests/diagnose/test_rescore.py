"""Scoring a diagnosis folder anew, by the command a user types."""

import shutil
from pathlib import Path

import pytest

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.cli import diagnose as diagnose_command
from sae_merge_method.cli import score, select
from sae_merge_method.diagnose.specificity import SCORES, Score
from sae_merge_method.errors import ArtifactError, SaeMergeError, UsageError
from tests.diagnose.command import ARTIFACTS, diagnose, run

DRAWS = ("--permutations", 200, "--bootstrap", 200)


def test_rescoring_by_the_same_score_gives_the_same_bytes(planted: Path, tmp_path: Path) -> None:
    run(score.command, planted, "--out", tmp_path / "again", *DRAWS)
    for name in ARTIFACTS:
        assert (tmp_path / "again" / name).read_bytes() == (planted / name).read_bytes(), name


@pytest.mark.parametrize("name", SCORES)
def test_every_score_makes_a_whole_diagnosis(planted: Path, tmp_path: Path, name: str) -> None:
    printed = run(score.command, planted, "--score", name, "--out", tmp_path / "other", *DRAWS)
    assert len(printed.output.splitlines()) == (7 if SCORES[name].needs == ("usage",) else 5)
    other = read_diagnosis(tmp_path / "other")
    assert other.score == name
    assert other.layers[0].sae == read_diagnosis(planted).layers[0].sae
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ARTIFACTS


def test_without_out_nothing_is_written(planted: Path) -> None:
    before = {path: path.read_bytes() for path in planted.iterdir()}
    assert "corrected" in run(score.command, planted, "--score", "js_bits", *DRAWS).output
    assert {path: path.read_bytes() for path in planted.iterdir()} == before


@pytest.mark.parametrize(
    ("damage", "error", "complaint"),
    [
        (lambda folder: (folder / "features.safetensors").unlink(), ArtifactError, "cannot read feature"),
        (lambda folder: (folder / "features.safetensors").write_bytes(b"x"), ArtifactError, "is not feature"),
        (
            lambda folder: shutil.copy(folder / "draws.safetensors", folder / "features.safetensors"),
            ArtifactError,
            "is not feature usage",
        ),
        (lambda folder: (folder / "diagnosis.json").unlink(), ArtifactError, "cannot read a diagnosis"),
    ],
)
def test_a_damaged_diagnosis_is_refused(
    planted: Path, tmp_path: Path, damage: object, error: type[SaeMergeError], complaint: str
) -> None:
    folder = Path(shutil.copytree(planted, tmp_path / "damaged"))
    damage(folder)
    with pytest.raises(error, match=complaint):
        run(score.command, folder)


def test_files_of_two_diagnoses_are_told_apart(
    planted: Path, tmp_path: Path, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> None:
    diagnose(tmp_path / "other", legible, planted_saes, maths, prose, "--layers", "1-2")
    for name in ("features.safetensors", "draws.safetensors"):
        shutil.copy(planted / name, tmp_path / "other" / name)
    with pytest.raises(ArtifactError, match="files of two diagnoses"):
        run(score.command, tmp_path / "other")
    with pytest.raises(ArtifactError, match="the draws are of layers"):
        run(select.command, tmp_path / "other")
    with pytest.raises(UsageError, match="expected the folder of a diagnosis"):
        run(score.command, planted / "diagnosis.json")


def test_a_new_score_is_one_row_of_the_table(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Score(
        name="l1_distance",
        description="distance of the usage distributions",
        unit="share",
        bounds=(0, 2),
        source="a textbook",
        needs=("usage",),
        contributions=lambda target, control: (target["usage"] - control["usage"]).abs(),
    )
    monkeypatch.setitem(SCORES, row.name, row)
    for command in (score.command, diagnose_command.command):
        listed = " ".join(run(command, "--help").output.split())
        assert "|l1_distance]" in listed
        assert "l1_distance distance of the usage distributions, 0 to 2 (a textbook)" in listed
    printed = run(score.command, planted, "--score", row.name, "--out", tmp_path / "other", *DRAWS).output
    other = read_diagnosis(tmp_path / "other")
    assert other.score == "l1_distance"
    assert f"{other.layers[0].score:.4f}" in printed
    page = (tmp_path / "other/diagnosis.html").read_text()
    assert "<dd>l1_distance: distance of the usage distributions, 0 to 2 (a textbook)</dd>" in page
