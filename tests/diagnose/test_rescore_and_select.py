"""Scoring and selecting from a diagnosis folder alone, by the commands a user types."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.diagnosis import read_diagnosis, read_draws
from sae_merge_method.cli import score, select
from sae_merge_method.diagnose.select import apply_rule
from sae_merge_method.diagnose.specificity import SCORES
from sae_merge_method.errors import ArtifactError, SaeMergeError, UsageError
from sae_merge_method.selection import parse_rule
from tests.diagnose.test_run import ARTIFACTS, diagnose


@pytest.fixture(scope="module")
def heard(
    tmp_path_factory: pytest.TempPathFactory, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> Path:
    """A diagnosis of the model and SAEs with planted layers."""
    out = tmp_path_factory.mktemp("heard") / "diagnosis"
    diagnose(out, legible, planted_saes, maths, prose)
    return out


def run(command: object, *arguments: object) -> str:
    result = CliRunner().invoke(
        command.command,  # type: ignore[attr-defined]
        [str(argument) for argument in arguments],
        catch_exceptions=False,
        standalone_mode=False,
    )
    return result.output


DRAWS = ("--permutations", 200, "--bootstrap", 200)


def test_rescoring_by_the_same_score_gives_the_same_bytes(heard: Path, tmp_path: Path) -> None:
    run(score, heard, "--out", tmp_path / "again", *DRAWS)
    for name in ARTIFACTS:
        assert (tmp_path / "again" / name).read_bytes() == (heard / name).read_bytes(), name


@pytest.mark.parametrize("name", SCORES)
def test_every_score_makes_a_whole_diagnosis(heard: Path, tmp_path: Path, name: str) -> None:
    printed = run(score, heard, "--score", name, "--out", tmp_path / "other", *DRAWS)
    assert len(printed.splitlines()) == 5
    other = read_diagnosis(tmp_path / "other")
    assert other.score == name
    assert other.layers[0].sae == read_diagnosis(heard).layers[0].sae
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ARTIFACTS


def test_without_out_nothing_is_written(heard: Path) -> None:
    before = {path: path.read_bytes() for path in heard.iterdir()}
    assert "corrected" in run(score, heard, "--score", "js_bits", *DRAWS)
    assert {path: path.read_bytes() for path in heard.iterdir()} == before


def test_select_shows_each_rules_layers_and_their_stability(heard: Path, tmp_path: Path) -> None:
    printed = run(select, heard, "--rule", "top_k=2", "--rule", "fdr=0.05", "--plot", tmp_path / "a.png")
    header, top, fdr = printed.splitlines()
    assert header.split()[:3] == ["rule", "layers", "agreement"]
    assert top.split() == ["top_k=2", "1,", "3", "1.00", "1:", "1.00", "3:", "1.00"]
    assert fdr.startswith("fdr=0.05  0, 1, 3")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_choice_is_marked_in_the_folder_and_no_number_changes(heard: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(heard, tmp_path / "marked"))
    run(select, folder, "--rule", "top_k=2", "--mark")
    assert (folder / "diagnosis.html").read_text().count('<tr class="chosen">') == 2
    assert "<dd>1, 3 (shaded)</dd>" in (folder / "diagnosis.html").read_text()
    changed = {name for name in ARTIFACTS if (folder / name).read_bytes() != (heard / name).read_bytes()}
    assert changed == {"diagnosis.html", "specificity.png"}
    run(score, heard, "--select", "top_k=2", "--out", tmp_path / "again", *DRAWS)
    for name in ARTIFACTS:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_corrected_units_take_the_null_off_before_a_threshold(heard: Path) -> None:
    diagnosis, draws = read_diagnosis(heard), read_draws(heard)
    entry = diagnosis.layers[0]
    assert entry.null is not None
    rule = parse_rule(f"threshold={(entry.score + entry.null.corrected) / 2!r}")
    assert 0 in apply_rule(rule, diagnosis, draws, "raw").layers
    assert 0 not in apply_rule(rule, diagnosis, draws, "corrected").layers


def test_an_unsteady_choice_is_said_to_be_unsteady(heard: Path) -> None:
    diagnosis, draws = read_diagnosis(heard), read_draws(heard)
    noisy = draws._replace(bootstrap=np.random.default_rng(0).normal(scale=100, size=(400, 4)))
    selection = apply_rule(parse_rule("top_k=1"), diagnosis, noisy)
    assert selection.layers == (1,)
    assert selection.frequency == pytest.approx(dict.fromkeys(range(4), 0.25), abs=0.08)
    assert selection.agreement == pytest.approx(0.25, abs=0.08)


def test_without_draws_there_is_a_choice_and_no_stability(
    tmp_path: Path, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> None:
    out = tmp_path / "out"
    diagnose(out, legible, planted_saes, maths, prose, "--bootstrap", "0", "--permutations", "0")
    assert run(select, out, "--rule", "top_k=1").splitlines()[1].split() == ["top_k=1", "1", "-", "-"]
    with pytest.raises(UsageError, match="needs q-values"):
        run(select, out, "--rule", "fdr=0.1")
    with pytest.raises(UsageError, match="null-corrected scores need a null"):
        run(select, out, "--units", "corrected")


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
    heard: Path, tmp_path: Path, damage: object, error: type[SaeMergeError], complaint: str
) -> None:
    folder = Path(shutil.copytree(heard, tmp_path / "damaged"))
    damage(folder)  # type: ignore[operator]
    with pytest.raises(error, match=complaint):
        run(score, folder)


def test_files_of_two_diagnoses_are_told_apart(
    heard: Path, tmp_path: Path, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> None:
    diagnose(tmp_path / "other", legible, planted_saes, maths, prose, "--layers", "1-2")
    for name in ("features.safetensors", "draws.safetensors"):
        shutil.copy(heard / name, tmp_path / "other" / name)
    with pytest.raises(ArtifactError, match="files of two diagnoses"):
        run(score, tmp_path / "other")
    with pytest.raises(ArtifactError, match="the draws are of layers"):
        run(select, tmp_path / "other")
    with pytest.raises(UsageError, match="expected the folder of a diagnosis"):
        run(score, heard / "diagnosis.json")
