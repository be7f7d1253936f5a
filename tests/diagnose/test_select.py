"""What selection rules take of a diagnosis folder, by the command a user types."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.artifacts.draws import read_draws
from sae_merge_method.cli import score, select
from sae_merge_method.diagnose.select import select_layers, with_resamples
from sae_merge_method.errors import UsageError
from sae_merge_method.selection import overlap, parse_rule
from tests.diagnose.command import ARTIFACTS, diagnose, run

DRAWS = ("--permutations", 200, "--bootstrap", 200)


def test_select_shows_each_rules_layers_and_their_stability(planted: Path, tmp_path: Path) -> None:
    printed = run(
        select.command, planted, "--rule", "top_k=2", "--rule", "differs=0.05", "--plot", tmp_path / "a.png"
    ).output
    header, top, differs = printed.split("\n\n")[0].splitlines()
    assert header.split()[:4] == ["rule", "of", "scores", "layers"]
    shares = ["1.00", "1.00", "1.00", "-"]  # over resamples, halves, scores, and no other SAEs
    choice = ["1,", "3", "0", "of", "2"]
    assert top.split() == ["top_k=2", "corrected", *choice, *shares, "1:", "1.00", "3:", "1.00"]
    alone = ["1.00", "-", "-"]
    assert differs.split()[:11] == ["differs=0.05", "corrected", "0,", "1,", "3", "2", "of", "3", *alone]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_choice_is_marked_in_the_folder_and_no_number_changes(planted: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(planted, tmp_path / "marked"))
    run(select.command, folder, "--rule", "top_k=2", "--mark")
    assert (folder / "diagnosis.html").read_text().count('<tr class="chosen">') == 2
    assert "<dd>1, 3 (shaded), 0 of 2 adjacent</dd>" in (folder / "diagnosis.html").read_text()
    changed = {name for name in ARTIFACTS if (folder / name).read_bytes() != (planted / name).read_bytes()}
    assert changed == {"diagnosis.html", "specificity.png"}
    run(score.command, planted, "--select", "top_k=2", "--out", tmp_path / "again", *DRAWS)
    for name in ARTIFACTS:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_choice_by_other_saes_stands_beside_it_and_only_saes_may_differ(
    planted: Path, tmp_path: Path, legible: Path, random_saes: str, maths: Path, prose: Path, more_maths: Path
) -> None:
    other, wrong = tmp_path / "other", tmp_path / "wrong"
    diagnose(other, legible, random_saes, maths, prose)
    diagnose(wrong, legible, random_saes, maths, more_maths)
    selection = select_layers(planted, "top_k=2", beside=[other, planted])
    of_other = set(select_layers(other, "top_k=2").layers)
    assert selection.over_saes == pytest.approx((overlap(of_other, {1, 3}) + 1) / 2)
    assert run(select.command, planted, "--rule", "top_k=2", "--beside", other).exit_code == 0
    with pytest.raises(UsageError, match="wrong is of another text"):
        select_layers(planted, "top_k=2", beside=[wrong])


def test_corrected_units_take_the_null_off_before_a_threshold(planted: Path) -> None:
    diagnosis, draws = read_diagnosis(planted), read_draws(planted)
    entry = diagnosis.layers[0]
    assert entry.null is not None
    rule = parse_rule(f"threshold={(entry.score + entry.null.corrected) / 2!r}")
    assert 0 in with_resamples(rule, diagnosis, draws, "raw").layers
    assert 0 not in with_resamples(rule, diagnosis, draws, "corrected").layers


def test_an_unsteady_choice_is_said_to_be_unsteady(planted: Path) -> None:
    diagnosis, draws = read_diagnosis(planted), read_draws(planted)
    noisy = draws._replace(bootstrap=np.random.default_rng(0).normal(scale=100, size=(1, 400, 4)))
    selection = with_resamples(parse_rule("top_k=1"), diagnosis, noisy)
    assert selection.layers == (1,)
    assert selection.frequency == pytest.approx(dict.fromkeys(range(4), 0.25), abs=0.08)
    assert selection.agreement == pytest.approx(0.25, abs=0.08)


def test_without_draws_there_is_a_choice_and_no_stability(
    tmp_path: Path, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> None:
    out = tmp_path / "out"
    diagnose(out, legible, planted_saes, maths, prose, "--bootstrap", "0", "--permutations", "0")
    assert run(select.command, out, "--rule", "top_k=1").output.splitlines()[1].split() == [
        *("top_k=1", "raw", "1", "0", "of", "1", "-", "1.00", "1.00", "-", "-")
    ]
    with pytest.raises(UsageError, match="needs q-values"):
        run(select.command, out, "--rule", "differs=0.1")
