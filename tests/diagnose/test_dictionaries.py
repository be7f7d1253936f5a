"""What an SAE adds to a diagnosis, and a diagnosis without one."""

from pathlib import Path

import pytest

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.artifacts.dictionary_scores import DictionaryScores, dictionary_sentence
from sae_merge_method.cli import score as score_command
from sae_merge_method.diagnose.specificity import SCORES
from tests.diagnose.command import diagnose, run

DRAWS = ("--permutations", "50", "--bootstrap", "0", "--snippets", "0")


def test_a_sentence_says_what_is_there_without_the_sae_and_whether_layers_rank_alike() -> None:
    layers = {0: 0.1, 1: 0.3, 2: 0.2}
    others = tuple(
        DictionaryScores(name=name, description=f"with {name}", scores={"kl_bits": scores})
        for name, scores in (("one", {0: 0.1, 1: 0.2, 2: 0.15}), ("two", {0: 0.2, 1: 0.1, 2: 0.15}))
    )
    assert dictionary_sentence("kl_bits", layers, others) == (
        "Of 0.2000 kl bits (corrected, mean over layers) 0.1500 are there with one and 0.1500 are there with two; "
        "the order of the layers agrees at +1.00 and -1.00 (rank correlation)."
    )
    assert dictionary_sentence("js_bits", layers, others) is None
    assert dictionary_sentence("kl_bits", layers, ()) is None
    short = dictionary_sentence("kl_bits", {0: 0.1, 1: 0.3}, others)
    assert short is not None
    assert "undefined" in short


def test_every_diagnosis_says_what_other_dictionaries_tell_of_the_same_texts(
    planted: Path, tmp_path: Path
) -> None:
    diagnosis = read_diagnosis(planted)
    assert [one.name for one in diagnosis.dictionaries] == ["random", "none"]
    for one in diagnosis.dictionaries:
        assert set(one.scores) == {name for name, row in SCORES.items() if row.needs == ("usage",)}
        # The streams say which word stands there: any dictionary tells maths words from others.
        assert min(one.scores["kl_bits"].values()) > 0.05
    sentence = diagnosis.without_saes()
    assert sentence is not None
    assert sentence in str(diagnosis)
    assert sentence.split("(")[0] in (planted / "diagnosis.html").read_text()
    printed = run(
        score_command.command, planted, "--score", "js_bits", "--permutations", 50, "--bootstrap", 0
    ).output
    assert "js bits (corrected, mean over layers)" in printed


@pytest.mark.parametrize(("sae", "more"), [("random", ("--sae-id", "width_64_l0_8")), ("none", ())])
def test_a_dictionary_that_nobody_trained_may_stand_in_the_saes_place(
    tmp_path: Path,
    legible: Path,
    maths: Path,
    prose: Path,
    sae: str,
    more: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    diagnose(tmp_path / "out", legible, sae, maths, prose, *DRAWS, *more)
    diagnosis = read_diagnosis(tmp_path / "out")
    assert len(diagnosis.layers) == 4
    assert {entry.sae.architecture for entry in diagnosis.layers} == {sae}
    assert diagnosis.dictionaries == ()
    assert diagnosis.without_saes() is None
    assert "explain less" not in caplog.text


def test_without_other_dictionaries_nothing_is_said_of_them(
    tmp_path: Path, legible: Path, planted_saes: str, maths: Path, prose: Path, planted: Path
) -> None:
    diagnose(tmp_path / "out", legible, planted_saes, maths, prose, *DRAWS, "--dictionaries", "")
    assert read_diagnosis(tmp_path / "out").dictionaries == ()
    assert read_diagnosis(tmp_path / "out").scores("raw") == read_diagnosis(planted).scores("raw")
