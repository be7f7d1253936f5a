"""The stethoscope from end to end, by the command a user types."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from sae_merge_method.artifacts.diagnosis import Diagnosis, read_diagnosis
from sae_merge_method.artifacts.draws import read_draws
from sae_merge_method.artifacts.usage import UsageReader
from sae_merge_method.diagnose import sweep
from sae_merge_method.diagnose.memory_plan import Plan, Work, make_plan
from sae_merge_method.diagnose.scoring import score_layers
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES
from sae_merge_method.errors import CorpusError, SaeError, UsageError
from tests import warm
from tests.diagnose import hosts
from tests.diagnose.command import ARTIFACTS, diagnose
from tests.diagnose.conftest import PLANTED


def order(scores: dict[int, float]) -> list[int]:
    return sorted(scores, key=lambda layer: -scores[layer])


def test_layers_with_target_only_features_come_out_on_top_in_order(planted: Path) -> None:
    diagnosis = read_diagnosis(planted)
    assert order(diagnosis.scores()) == order(dict(enumerate(PLANTED)))
    q_values = diagnosis.q_values()
    assert q_values is not None
    assert [layer for layer, q in q_values.items() if q <= 0.05] == [0, 1, 3]


@pytest.mark.parametrize("name", SCORES)
def test_every_score_finds_the_planted_order_from_the_stored_usage(planted: Path, name: str) -> None:
    reader = UsageReader(planted)
    settings = ScoringSettings(score=name, permutations=99, bootstrap=0)
    scoring = score_layers(reader.layers, reader.layer, reader.documents, settings, ["prose"])
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


def test_the_diagnosis_says_what_was_diagnosed(planted: Path, maths: Path, legible: Path) -> None:
    diagnosis = read_diagnosis(planted)
    assert isinstance(diagnosis, Diagnosis)
    assert [entry.layer for entry in diagnosis.layers] == [0, 1, 2, 3]
    assert diagnosis.model.id == str(legible)
    assert (diagnosis.model.n_layers, diagnosis.model.d_model) == (4, 32)
    assert diagnosis.target.documents == 40
    words = sum(len(json.loads(line)["text"].split()) for line in maths.read_text().splitlines())
    assert diagnosis.target.tokens_read == words
    (control,) = diagnosis.controls
    assert (control.documents, control.tokens) == (diagnosis.target.documents, diagnosis.target.tokens)
    # Every SAE's "any word" features fire on each token, the others on maths words.
    assert diagnosis.layers[2].l0 == 64
    assert diagnosis.layers[1].sae.hook_point == "model.layers.1.output"
    assert diagnosis.settings["dtype"] == "float32"


def test_draws_hold_every_layers_score_under_the_same_shuffles(planted: Path) -> None:
    draws = read_draws(planted)
    assert draws.null.shape == draws.bootstrap.shape == (1, 200, 4)
    null = read_diagnosis(planted).layers[0].null
    assert null is not None
    assert null.mean == pytest.approx(draws.null[0, :, 0].mean())


def test_the_same_inputs_write_the_same_bytes(
    tmp_path: Path, planted: Path, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> None:
    diagnose(tmp_path / "again", legible, planted_saes, maths, prose)
    assert sorted(path.name for path in planted.iterdir()) == ARTIFACTS
    for name in ARTIFACTS:
        assert (tmp_path / "again" / name).read_bytes() == (planted / name).read_bytes(), name


def test_batches_of_another_size_give_the_same_scores(
    tmp_path: Path, planted: Path, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> None:
    small = ("--batch-tokens", "30", "--dictionaries", "", "--twins", "")
    diagnose(tmp_path / "small", legible, planted_saes, maths, prose, *small)
    scores, again = (read_diagnosis(folder).scores() for folder in (planted, tmp_path / "small"))
    np.testing.assert_allclose(list(scores.values()), list(again.values()), rtol=1e-4)


def test_memory_is_planned_for_the_longest_document_whatever_the_batches(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gemma3: Path,
    random_saes: str,
    maths: Path,
    prose: Path,
) -> None:
    planned: list[Work] = []

    def plan(work: Work, *rest: Any) -> Plan:
        planned.append(work)
        return make_plan(work, *rest)

    monkeypatch.setattr(sweep, "make_plan", plan)
    for name, size in (("few", "4"), ("many", "400")):
        draws = ("--permutations", "0", "--bootstrap", "0", "--layers", "1", "--max-documents", "5")
        diagnose(tmp_path / name, gemma3, random_saes, maths, prose, *draws, "--batch-tokens", size)
    few, many = planned
    assert 4 < few.batch_tokens < 400 <= many.batch_tokens


def test_corpora_of_one_source_give_no_discovery(
    tmp_path: Path, gemma3: Path, random_saes: str, maths: Path, more_maths: Path
) -> None:
    result = diagnose(tmp_path / "out", gemma3, random_saes, maths, more_maths)
    q_values = read_diagnosis(tmp_path / "out").q_values()
    assert q_values is not None
    assert min(q_values.values()) > 0.05
    layers, *_, corpora = result.stdout.split("\n\n")
    assert len(layers.splitlines()) == 5
    assert [line.split()[0] for line in corpora.splitlines()] == ["side", "target", "control"]


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


def test_saelens_folders_of_some_layers_are_diagnosed(
    tmp_path: Path, legible: Path, maths: Path, prose: Path
) -> None:
    for layer, n_target in ((1, 2), (3, 20)):
        hosts.save_sae(tmp_path / f"saes/layer_{layer}", layer, hosts.planted_encoder(n_target))
    diagnose(tmp_path / "out", legible, str(tmp_path / "saes/layer_{layer}"), maths, prose)
    scores = read_diagnosis(tmp_path / "out").scores()
    assert list(scores) == [1, 3]
    assert scores[1] < scores[3]
    assert "<dd>2 of 4 layers diagnosed: 1, 3</dd>" in (tmp_path / "out/diagnosis.html").read_text()


def test_an_offline_cache_serves_a_release_without_saelens_or_a_network(
    tmp_path: Path, gemma3: Path, maths: Path, prose: Path
) -> None:
    """The command in a process of its own, every connection refused, SAELens never imported."""
    python = warm.python(tmp_path / "warm", "libraries")
    repo = tmp_path / "hub/hub/models--google--gemma-scope-2-4b-it"
    commit = "0" * 40
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text(commit)
    for layer in (1, 2):
        place = f"snapshots/{commit}/resid_post_all/layer_{layer}_width_16k_l0_small"
        hosts.save_raw(repo / place, layer)
    release = ["--sae", "gemma-scope-2-4b-it-res-all", "--sae-id", "layer_{layer}_width_16k_l0_small"]
    program = """
import socket, sys
def refuse(*arguments, **_):
    raise AssertionError(f"a connection to {arguments}")
socket.socket.connect = refuse
socket.create_connection = refuse
from sae_merge_method.cli.diagnose import command
from sae_merge_method.errors import SaeError
command([*sys.argv[1:], "--layers", "1, 2"], standalone_mode=False)
try:
    command([*sys.argv[1:], "--layers", "1-3", "--overwrite"], standalone_mode=False)
except SaeError as error:
    print(error)
assert "sae_lens" not in sys.modules
"""
    arguments = ["--model", gemma3, "--target", maths, "--control", prose, "--out", tmp_path / "out"]
    draws = ["--permutations", "20", "--bootstrap", "20"]
    done = subprocess.run(
        [str(python), "-c", program, *map(str, arguments), *release, *draws],
        env={**os.environ, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    entry = read_diagnosis(tmp_path / "out").layers[0]
    assert (entry.layer, entry.sae.id) == (1, "layer_1_width_16k_l0_small")
    assert "layer_3_width_16k_l0_small is not in the local cache" in done.stdout


def test_a_failure_leaves_no_folder_and_an_existing_one_as_it_was(
    tmp_path: Path, gemma3: Path, random_saes: str, maths: Path, prose: Path
) -> None:
    cases: list[tuple[type[Exception], list[str]]] = [
        (CorpusError, ["--target", str(prose)]),
        (SaeError, ["--sae", str(tmp_path / "none_{layer}")]),
        (click.UsageError, ["--score", "kl"]),
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
