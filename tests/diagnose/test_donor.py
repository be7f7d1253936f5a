"""A donor beside a diagnosis: attributed on the same texts, written with it, and it changes nothing else."""

from pathlib import Path

import pytest

from sae_merge_method.artifacts.attribution import ATTRIBUTION_FILE, read_attribution
from sae_merge_method.artifacts.attribution_groups import GROUPS_FILE
from sae_merge_method.cli import diagnose as diagnose_command
from sae_merge_method.cli import score as score_command
from sae_merge_method.diagnose import run as diagnosing
from sae_merge_method.errors import MergeError
from tests import tiny
from tests.diagnose.command import ARTIFACTS, run
from tests.in_memory.models import near

FEW = [
    "--max-documents",
    "6",
    "--dictionaries",
    "",
    "--twins",
    "",
    "--permutations",
    "20",
    "--bootstrap",
    "20",
]


@pytest.fixture(scope="module")
def words(legible: Path, planted_saes: str, maths: Path, prose: Path) -> list[object]:
    return ["--model", legible, "--sae", planted_saes, "--target", maths, "--control", prose, *FEW]


@pytest.fixture(scope="module")
def donor(tmp_path_factory, legible: Path) -> Path:
    return near(legible, tmp_path_factory.mktemp("models") / "donor", 0.02, only=("layers.2.",))


@pytest.fixture(scope="module")
def both(tmp_path_factory, words, donor) -> tuple[Path, str]:
    """A diagnosis with a donor, and what the command printed."""
    out = tmp_path_factory.mktemp("both") / "diagnosis"
    return out, run(diagnose_command.command, *words, "--donor", donor, "--out", out).output


def test_the_attribution_stands_beside_the_diagnosis_which_is_as_it_would_be_without(both, words, tmp_path):
    out, printed = both
    run(diagnose_command.command, *words, "--out", tmp_path / "out")
    assert sorted(path.name for path in out.iterdir()) == sorted([*ARTIFACTS, ATTRIBUTION_FILE, GROUPS_FILE])
    for name in ARTIFACTS:
        same = (out / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
        assert same == (name != "diagnosis.html"), name
    assert "attributed_gain" in printed
    assert [path.name for path in out.parent.iterdir()] == ["diagnosis"]


def test_it_is_of_the_same_texts_and_finds_where_the_donor_differs(both, maths):
    attribution = read_attribution(both[0])
    assert attribution.target.name == str(maths)
    gains = attribution.target.attributed()
    assert [layer for layer, gain in gains.items() if gain] == [2]


def test_the_page_shows_it(both, donor):
    page = (both[0] / "diagnosis.html").read_text()
    assert f"What the donor {donor} does" in page
    assert "scores for choosing layers" in page


def test_a_diagnosis_that_is_scored_anew_keeps_it(both, tmp_path):
    run(
        score_command.command, both[0], "--score", "js_bits", "--out", tmp_path / "out", "--permutations", "5"
    )
    assert (tmp_path / "out" / ATTRIBUTION_FILE).read_bytes() == (both[0] / ATTRIBUTION_FILE).read_bytes()
    assert "What the donor" in (tmp_path / "out" / "diagnosis.html").read_text()


def test_a_donor_that_does_not_fit_is_refused_before_anything_is_encoded(words, tmp_path, monkeypatch):
    monkeypatch.setattr(diagnosing, "open_subject", lambda *_: pytest.fail("the model was loaded"))
    other = tiny.gemma3_text(tmp_path / "other", 0)
    with pytest.raises(MergeError, match="the same weights mean something else"):
        run(diagnose_command.command, *words, "--donor", other, "--out", tmp_path / "out")


class Killed(BaseException):
    pass


def test_killed_while_it_attributes_nothing_is_encoded_again(both, words, donor, tmp_path, monkeypatch):
    def killed(*_):
        raise Killed

    monkeypatch.setattr(diagnosing, "attributed_beside", killed)
    with pytest.raises(Killed):
        run(diagnose_command.command, *words, "--donor", donor, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / ".out.progress").rglob("*.safetensors")}
    assert kept
    seen = {}

    def looking(*arguments):
        seen.update({path: path.stat().st_mtime_ns for path in kept})
        raise Killed

    monkeypatch.setattr(diagnosing, "attributed_beside", looking)
    with pytest.raises(Killed):
        run(diagnose_command.command, *words, "--donor", donor, "--out", tmp_path / "out")
    assert seen == kept
