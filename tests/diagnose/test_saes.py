"""Feature usage of real SAEs: as SAELens itself encodes, and from an offline cache without SAELens."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.artifacts.usage import LayerUsage
from sae_merge_method.diagnose.usage import LayerCollector, use_batch
from sae_merge_method.saes.find import SaeAddress
from sae_merge_method.saes.sae import LayerSae, load_sae
from tests.diagnose import hosts
from tests.diagnose.test_run import diagnose

KINDS = {
    "jumprelu": {},
    "standard": {"normalize_activations": "layer_norm"},
    "topk": {"k": 5},
    "gated": {"apply_b_dec_to_input": False},
}


def load(folder: Path, layer: int = 2, d_model: int = hosts.D_MODEL) -> LayerSae:
    return load_sae(SaeAddress(layer, str(folder), "", folder), d_model, torch.float32, torch.device("cpu"))


def collect(sae: LayerSae, residual: torch.Tensor, tokens: list[int]) -> tuple[LayerUsage, LayerCollector]:
    collector = LayerCollector(len(tokens))
    everything = np.ones(len(residual), dtype=bool)
    usage = use_batch(sae.encoder, residual, np.array(tokens), everything)
    collector.add(tuple(range(len(tokens))), usage)
    return collector.layer_usage(hosts.D_SAE), collector


@pytest.mark.parametrize("kind", KINDS)
def test_usage_is_the_mean_of_saelens_own_encode_over_each_document(tmp_path: Path, kind: str) -> None:
    from sae_lens import SAE

    folder = hosts.save_sae(tmp_path / "sae", 2, kind=kind, **KINDS[kind])
    residual = torch.randn(12, hosts.D_MODEL, generator=torch.Generator().manual_seed(0))
    reference = SAE.load_from_disk(folder)
    with torch.no_grad():
        features = reference.encode(residual)
        restored = reference.decode(features)
    usage, collector = collect(load(folder), residual, [5, 7])
    dense = np.zeros((2, hosts.D_SAE))
    counts = np.zeros_like(dense)
    dense[usage.rows(), usage.indices] = usage.means()
    counts[usage.rows(), usage.indices] = usage.counts
    for row, part in enumerate(features.split([5, 7])):
        np.testing.assert_allclose(dense[row], part.mean(0).numpy(), rtol=2**-10)
        np.testing.assert_array_equal(counts[row], (part > 0).sum(0).numpy())
    unexplained = (residual - restored).square().sum() / (residual - residual.mean(0)).square().sum()
    assert collector.explained_variance() == pytest.approx(1 - unexplained.item(), abs=1e-4)


def test_a_perfect_sae_explains_everything_and_batches_may_come_in_any_order(tmp_path: Path) -> None:
    both_signs = torch.cat([torch.eye(hosts.D_MODEL), -torch.eye(hosts.D_MODEL)], dim=1)
    sae = load(hosts.save_sae(tmp_path / "sae", 2, both_signs))
    sae.encoder.W_dec.data = both_signs.T.contiguous()  # type: ignore[attr-defined]
    residual = torch.randn(9, hosts.D_MODEL)
    whole, collector = collect(sae, residual, [4, 5])
    assert collector.explained_variance() == pytest.approx(1)
    parts = LayerCollector(2)
    for place, part in ((1, residual[4:]), (0, residual[:4])):
        parts.add(
            (place,), use_batch(sae.encoder, part, np.array([len(part)]), np.ones(len(part), dtype=bool))
        )
    for one, other in zip(whole, parts.layer_usage(hosts.D_SAE), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_diagnosis_hears_saelens_folders_of_some_layers(
    tmp_path: Path, legible: Path, maths: Path, prose: Path
) -> None:
    for layer, n_target in ((1, 2), (3, 20)):
        hosts.save_sae(tmp_path / f"saes/layer_{layer}", layer, hosts.planted_encoder(n_target))
    diagnose(tmp_path / "out", legible, str(tmp_path / "saes/layer_{layer}"), maths, prose)
    scores = read_diagnosis(tmp_path / "out").scores()
    assert list(scores) == [1, 3]
    assert scores[1] < scores[3]
    assert "<dd>2 of 4 heard: 1, 3</dd>" in (tmp_path / "out/diagnosis.html").read_text()


def test_an_offline_cache_serves_a_release_without_saelens_or_a_network(
    tmp_path: Path, gemma3: Path, maths: Path, prose: Path
) -> None:
    """The command in a process of its own, every connection refused, SAELens never imported."""
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
        [sys.executable, "-c", program, *map(str, arguments), *release, *draws],
        env={**os.environ, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    entry = read_diagnosis(tmp_path / "out").layers[0]
    assert (entry.layer, entry.sae.id) == (1, "layer_1_width_16k_l0_small")
    assert "layer_3_width_16k_l0_small is not in the local cache" in done.stdout
