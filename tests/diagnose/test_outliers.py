"""Attention sinks and massive activations, planted in real models: no score may take them for text."""

from pathlib import Path

import numpy as np
import pytest

from sae_merge_method.artifacts.diagnosis import Diagnosis, read_diagnosis
from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.artifacts.usage import UsageReader
from sae_merge_method.diagnose.rescore import score
from sae_merge_method.diagnose.scoring import score_layers
from sae_merge_method.diagnose.settings import DiagnoseSettings, ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES
from sae_merge_method.diagnose.tables import MOVED, layers_grid
from sae_merge_method.errors import UsageError
from sae_merge_method.reports.grid import as_text
from tests.diagnose import hosts, sinks
from tests.diagnose.command import diagnose

LATER = range(sinks.SINK_LAYER, hosts.N_LAYERS)
"""Layers where sinks are large."""


@pytest.fixture(scope="module")
def saes(tmp_path_factory: pytest.TempPathFactory) -> str:
    return hosts.save_planted(tmp_path_factory.mktemp("saes"), sinks.PLANTED)


def diagnosed(
    folder: Path, model: Path, saes: str, target: list[str], control: list[str], *more: str
) -> Diagnosis:
    maths = hosts.write_jsonl(folder / "maths.jsonl", target)
    prose = hosts.write_jsonl(folder / "prose.jsonl", control)
    diagnose(folder / "out", model, saes, maths, prose, *more)
    return read_diagnosis(folder / "out")


def first_by(folder: Path, name: str, *, lifted: bool = False) -> int:
    """The layer that a score puts first, from the stored usage."""
    reader = UsageReader(folder)
    settings = ScoringSettings(score=name, permutations=0, bootstrap=0)

    def all_tokens(layer: int) -> LayerUsage:
        return reader.layer(layer).plus(reader.outliers(layer))

    read = all_tokens if lifted else reader.layer
    scoring = score_layers(reader.layers, read, reader.documents, settings, ["prose"])
    return max(scoring.layers, key=lambda entry: entry.score).layer


PLANTED_FIRST = int(np.argmax(sinks.PLANTED))


@pytest.fixture(scope="module")
def two_sinks(tmp_path_factory: pytest.TempPathFactory, saes: str) -> Path:
    """Without begin-of-text, positions 0 and 1 are sinks in every document."""
    folder = tmp_path_factory.mktemp("two_sinks")
    model = sinks.save_model(folder / "model", positions=(0, 1))
    maths, prose = (hosts.sentences(words, 40, nth) for nth, words in enumerate((hosts.MATHS, hosts.PROSE)))
    diagnosed(folder, model, saes, maths, prose)
    return folder / "out"


@pytest.fixture(scope="module")
def delimiters(tmp_path_factory: pytest.TempPathFactory, saes: str) -> Path:
    """A word is a sink wherever it stands: in the midst of control documents, at the end of the target's."""
    folder = tmp_path_factory.mktemp("delimiters")
    model = sinks.save_model(folder / "model", words=("c6", "c7"))
    maths, prose = (
        [text.replace("c6", "c2").replace("c7", "c3") for text in hosts.sentences(words, 40, nth)]
        for nth, words in enumerate((hosts.MATHS, hosts.PROSE))
    )
    ended = [f"{text} c7" if nth % 2 else text for nth, text in enumerate(maths)]
    delimited = [" c6 ".join((text[: len(text) // 6 * 3 - 1], text[len(text) // 6 * 3 :])) for text in prose]
    diagnosed(folder, model, saes, ended, delimited, "--snippets", "0")
    return folder / "out"


@pytest.mark.parametrize("case", ["two_sinks", "delimiters"])
@pytest.mark.parametrize("name", SCORES)
def test_every_score_puts_the_planted_layer_first(
    case: str, name: str, request: pytest.FixtureRequest
) -> None:
    assert first_by(request.getfixturevalue(case), name) == PLANTED_FIRST


@pytest.mark.parametrize("case", ["two_sinks", "delimiters"])
def test_with_the_rule_lifted_they_would_not(case: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(case)
    wrong = [name for name in SCORES if first_by(folder, name, lifted=True) != PLANTED_FIRST]
    assert wrong


def test_the_diagnosis_says_which_tokens_were_left_out_and_what_they_would_do(two_sinks: Path) -> None:
    diagnosis = read_diagnosis(two_sinks)
    assert diagnosis.model.begins_with is None
    assert diagnosis.target.own_first == diagnosis.target.documents == 40
    for entry in diagnosis.layers:
        left_out = entry.left_out
        assert left_out is not None
        assert left_out.first == 80
        if entry.layer in LATER:
            # One at position 1 in each document, beside the first.
            assert left_out.outliers == 80
            assert left_out.share_first == 0.5
            assert left_out.first_norm > sinks.SIZE
            assert sum(token.count for token in left_out.tokens) > 100
            assert all(token.text in hosts.WORDS for token in left_out.tokens)
            assert left_out.shares == (
                40 / diagnosis.target.tokens,
                40 / diagnosis.controls[0].tokens,
            )
            assert entry.with_outliers is not None
        else:
            assert left_out.outliers == 0
            assert entry.with_outliers is None
    assert diagnosis.layers[PLANTED_FIRST].moved_by_outliers
    sentence = diagnosis.outliers()
    assert sentence is not None
    assert sentence.startswith("Outliers: in 3 of 4 layers (1-3) up to ")
    assert "would change by more than the interval" in sentence


def test_table_page_and_command_show_what_was_left_out(two_sinks: Path) -> None:
    diagnosis = read_diagnosis(two_sinks)
    header, *rows = as_text(layers_grid(diagnosis)).splitlines()
    assert header.split()[-3:] == ["outliers", "with", "them"]
    assert rows[PLANTED_FIRST].endswith(f"{MOVED}")
    assert rows[0].split()[-2:] == ["0", "-"]
    page = (two_sinks / "diagnosis.html").read_text()
    assert "Tokens that do not count" in page
    assert "this tokenizer adds no BOS" in page


def test_the_score_with_outliers_is_that_of_a_run_that_counts_them(
    tmp_path: Path, two_sinks: Path, saes: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = sinks.save_model(tmp_path / "model", positions=(0, 1))
    maths, prose = (hosts.sentences(words, 40, nth) for nth, words in enumerate((hosts.MATHS, hosts.PROSE)))
    few = ("--permutations", "0", "--bootstrap", "0", "--twins", "", "--dictionaries", "")
    lifted = diagnosed(tmp_path, model, saes, maths, prose, "--outlier-norm", "none", *few)
    for entry, ruled in zip(lifted.layers, read_diagnosis(two_sinks).layers, strict=True):
        expected = ruled.score if ruled.with_outliers is None else ruled.with_outliers
        assert entry.score == pytest.approx(expected, rel=1e-3)
        assert entry.with_outliers is None
        assert entry.left_out is not None
        assert ruled.left_out is not None
        assert entry.left_out.outliers == ruled.left_out.outliers
    assert "count in layers 1-3: a few of them rule means and scores there" in caplog.text


def test_a_score_of_another_kind_is_held_against_outliers_too(two_sinks: Path, tmp_path: Path) -> None:
    settings = ScoringSettings(score="js_bits", permutations=0, bootstrap=0)
    rescored = score(two_sinks, settings, out=tmp_path / "js")
    assert rescored.layers[PLANTED_FIRST].with_outliers is not None
    assert UsageReader(tmp_path / "js").outliers(PLANTED_FIRST).tokens.sum() == 80
    assert rescored.layers[0].left_out == read_diagnosis(two_sinks).layers[0].left_out


def test_snippets_do_not_show_outliers_as_a_feature_s_strongest_tokens(two_sinks: Path) -> None:
    """At position 1 any word feature fires a hundred times as strongly as elsewhere."""
    shown = [
        snippet
        for entry in read_diagnosis(two_sinks).layers
        for feature in entry.top_features
        for snippet in feature.snippets
    ]
    assert shown
    assert not [snippet for snippet in shown if len(snippet.partition("«")[0].split()) < 2]


def test_norms_that_grow_with_depth_or_spread_are_no_outliers(tmp_path: Path, saes: str) -> None:
    model = sinks.save_model(tmp_path / "model", growth=6, spread=0.5)
    maths, prose = (hosts.sentences(words, 40, nth) for nth, words in enumerate((hosts.MATHS, hosts.PROSE)))
    few = ("--permutations", "0", "--bootstrap", "0", "--snippets", "0", "--dictionaries", "")
    diagnosis = diagnosed(tmp_path, model, saes, maths, prose, *few)
    found = [entry.left_out for entry in diagnosis.layers if entry.left_out]
    medians = [left_out.median_norm for left_out in found]
    assert medians == sorted(medians)
    assert medians[-1] > 3 * medians[0]
    assert [left_out.outliers for left_out in found] == [0] * hosts.N_LAYERS
    assert diagnosis.outliers() is None
    for name in SCORES:
        assert first_by(tmp_path / "out", name) == PLANTED_FIRST


def test_a_family_trained_with_begin_of_text_gets_it_before_every_document(
    tmp_path: Path, planted_saes: str, maths: Path, prose: Path, planted: Path
) -> None:
    """A Gemma whose tokenizer does not add it is diagnosed as one whose tokenizer does."""
    model = hosts.legible_gemma3(tmp_path / "model")
    hosts.save_tokenizer(model, adds_bos=False)
    result = diagnose(tmp_path / "out", model, planted_saes, maths, prose)
    assert "this tokenizer adds no BOS, though models of this family were trained with <bos>" in result.stderr
    diagnosis, other = read_diagnosis(tmp_path / "out"), read_diagnosis(planted)
    assert (diagnosis.model.begins_with, diagnosis.model.adds_begin) == ("<bos>", False)
    assert diagnosis.layers == other.layers
    assert diagnosis.target.own_first == 0


@pytest.mark.parametrize("bound", ["1", "0", "-3", "much", "inf"])
def test_a_bound_is_a_number_above_one_or_none(bound: str) -> None:
    with pytest.raises(UsageError, match="outlier_norm: expected a number above 1, or none"):
        read_settings(
            DiagnoseSettings, {"model": "m", "sae": "s", "target": "t", "control": "c", "outlier_norm": bound}
        )
