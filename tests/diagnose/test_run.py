"""The stethoscope from end to end, by the command a user types."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from sae_merge_method.artifacts.diagnosis import Diagnosis, read_diagnosis, read_draws
from sae_merge_method.artifacts.usage import UsageReader
from sae_merge_method.cli.diagnose import command
from sae_merge_method.diagnose.scoring import ScoringSettings, score_layers
from sae_merge_method.diagnose.specificity import SCORES
from sae_merge_method.errors import CorpusError, SaeError, SaeMergeError, UsageError
from tests.diagnose.conftest import PLANTED

ARTIFACTS = [
    "diagnosis.html",
    "diagnosis.json",
    "draws.safetensors",
    "features.safetensors",
    "specificity.png",
]


def diagnose(out: Path, model: Path, saes: str, target: Path, control: Path, *more: str) -> Result:
    """Run the command; errors of ours are raised, as ``main`` would see them."""
    arguments = ["--model", model, "--sae", saes, "--target", target, "--control", control, "--out", out]
    draws = ["--permutations", "200", "--bootstrap", "200"]
    return CliRunner().invoke(
        command, [*map(str, arguments), *draws, *more], catch_exceptions=False, standalone_mode=False
    )


@pytest.fixture(scope="module")
def planted(
    tmp_path_factory: pytest.TempPathFactory, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> Path:
    out = tmp_path_factory.mktemp("planted") / "diagnosis"
    diagnose(out, legible, planted_saes, maths, prose)
    return out


def order(scores: dict[int, float]) -> list[int]:
    return sorted(scores, key=lambda layer: -scores[layer])


def test_layers_with_target_only_features_come_out_on_top_in_order(planted: Path) -> None:
    diagnosis = read_diagnosis(planted)
    assert order(diagnosis.scores()) == order(dict(enumerate(PLANTED)))
    q_values = diagnosis.q_values()
    assert q_values is not None
    assert [layer for layer, q in q_values.items() if q <= 0.05] == [0, 1, 3]


@pytest.mark.parametrize("score", SCORES.values(), ids=lambda score: score.name)
def test_every_score_finds_the_planted_order_from_the_stored_usage(planted: Path, score: object) -> None:
    reader = UsageReader(planted)
    scoring = score_layers(
        score,  # type: ignore[arg-type]
        reader.layers,
        reader.layer,
        reader.documents,
        ScoringSettings(99, 0),
    )
    found = {entry.layer: entry.score for entry in scoring.layers}
    assert order(found) == order(dict(enumerate(PLANTED)))


def test_top_features_are_the_planted_ones_with_their_rates(planted: Path) -> None:
    entry = read_diagnosis(planted).layers[0]
    assert sorted(feature.feature for feature in entry.top_features[:4]) == [0, 1, 2, 3]
    assert sum(feature.share for feature in entry.top_features) <= 1.5
    for feature in entry.top_features[:4]:
        assert feature.target > 0
        assert feature.control == feature.control_rate == 0
        assert 0.3 < feature.target_rate < 0.7


def test_the_diagnosis_says_what_was_heard(planted: Path, maths: Path, legible: Path) -> None:
    diagnosis = read_diagnosis(planted)
    assert isinstance(diagnosis, Diagnosis)
    assert [entry.layer for entry in diagnosis.layers] == [0, 1, 2, 3]
    assert diagnosis.model.id == str(legible)
    assert (diagnosis.model.n_layers, diagnosis.model.d_model) == (4, 32)
    assert diagnosis.target.documents == 40
    words = sum(len(json.loads(line)["text"].split()) for line in maths.read_text().splitlines())
    assert diagnosis.target.tokens == words
    # Every SAE's "any word" features fire on each token, the others on maths words.
    assert diagnosis.layers[2].l0 == 64
    assert diagnosis.layers[1].sae.hook_point == "model.layers.1.output"
    assert diagnosis.settings["dtype"] == "float32"


def test_draws_hold_every_layers_score_under_the_same_shuffles(planted: Path) -> None:
    draws = read_draws(planted)
    assert draws.null.shape == draws.bootstrap.shape == (200, 4)
    null = read_diagnosis(planted).layers[0].null
    assert null is not None
    assert null.mean == pytest.approx(draws.null[:, 0].mean())


def test_the_same_inputs_write_the_same_bytes(
    tmp_path: Path, planted: Path, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> None:
    diagnose(tmp_path / "again", legible, planted_saes, maths, prose)
    assert sorted(path.name for path in planted.iterdir()) == ARTIFACTS
    for name in ARTIFACTS:
        assert (tmp_path / "again" / name).read_bytes() == (planted / name).read_bytes(), name


def test_batches_of_another_size_hear_the_same(
    tmp_path: Path, planted: Path, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> None:
    diagnose(tmp_path / "small", legible, planted_saes, maths, prose, "--batch-tokens", "30")
    scores, again = (read_diagnosis(folder).scores() for folder in (planted, tmp_path / "small"))
    np.testing.assert_allclose(list(scores.values()), list(again.values()), rtol=1e-4)


def test_corpora_of_one_source_give_no_discovery(
    tmp_path: Path, gemma3: Path, random_saes: str, maths: Path, more_maths: Path
) -> None:
    result = diagnose(tmp_path / "out", gemma3, random_saes, maths, more_maths)
    q_values = read_diagnosis(tmp_path / "out").q_values()
    assert q_values is not None
    assert min(q_values.values()) > 0.05
    assert len(result.stdout.splitlines()) == 5


def test_an_sae_that_explains_little_is_warned_about(
    tmp_path: Path, gemma3: Path, random_saes: str, maths: Path, prose: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draws = ["--permutations", "0", "--bootstrap", "0", "--layers", "1-2", "--max-documents", "5"]
    result = diagnose(tmp_path / "out", gemma3, random_saes, maths, prose, *draws)
    assert "explain less than 50 % of this model's activations in 2 of 2 layers" in caplog.text
    diagnosis = read_diagnosis(tmp_path / "out")
    assert [entry.layer for entry in diagnosis.layers] == [1, 2]
    assert diagnosis.layers[0].null is diagnosis.layers[0].interval is None
    assert "nan" not in result.output


def test_a_failure_leaves_no_folder_and_an_existing_one_as_it_was(
    tmp_path: Path, gemma3: Path, random_saes: str, maths: Path, prose: Path
) -> None:
    cases: list[tuple[type[SaeMergeError], list[str]]] = [
        (CorpusError, ["--target", str(prose)]),
        (SaeError, ["--sae", str(tmp_path / "none_{layer}")]),
        (UsageError, ["--score", "kl"]),
        (UsageError, ["--layers", "9"]),
    ]
    for error, changed in cases:
        with pytest.raises(error):
            diagnose(tmp_path / "out", gemma3, random_saes, maths, prose, *changed)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    (tmp_path / "out/precious.txt").write_text("precious")
    with pytest.raises(UsageError, match="pass --overwrite"):
        diagnose(tmp_path / "out", gemma3, random_saes, maths, prose)
    assert (tmp_path / "out/precious.txt").read_text() == "precious"
