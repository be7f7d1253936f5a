"""Releases as they are published, read from an offline cache of the Hub's, each by its own layout."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sae_merge_method.errors import RefusedSaeError, SaeError
from tests import tiny
from tests.diagnose import hosts
from tests.geometry import scenes
from tests.merge.scalpels import recipe
from tests.saes.at_hand import cached, sae_at


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub's."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_gemma_scope_release_is_read_from_an_offline_cache(hub: Path) -> None:
    """SAELens knows where the release lies; its own reader would ask the Hub all the same."""
    release, template = "gemma-scope-2-4b-it-res", "layer_{layer}_width_16k_l0_medium"
    folder = cached(hub, "google/gemma-scope-2-4b-it", "resid_post/layer_17_width_16k_l0_medium")
    rows = load_file(hosts.save_raw(folder, 17) / "params.safetensors")["w_dec"]
    sae = sae_at(release, 17, template)
    assert np.array_equal(sae.directions([3]), rows[[3]])
    assert sae.description.neuronpedia == "gemma-3-4b-it/17-gemmascope-2-res-16k"
    with pytest.raises(SaeError, match="layer_9_width_16k_l0_medium is not in the local cache"):
        sae_at(release, 9, template)


def test_a_scalpel_reads_a_release_without_importing_saelens(tmp_path: Path, hub: Path) -> None:
    """Importing it took 7 seconds and 0.6 GB, only to look the release up."""
    scene = scenes.build(tmp_path)
    folder = cached(hub, "google/gemma-scope-2-4b-it", "resid_post_all/layer_1_width_16k_l0_small")
    hosts.save_raw(folder, 1, d_in=tiny.D_MODEL, d_sae=scenes.D_SAE)
    release = {"sae": "gemma-scope-2-4b-it-res-all", "sae_id": "layer_{layer}_width_16k_l0_small"}
    (tmp_path / "cut.yml").write_text(recipe(scene, layers="1", features="3, 5", **release))
    program = """
import sys
from sae_merge_method.cli.main import road
road(["merge", "cut.yml", "out"], standalone_mode=False)
assert not {"sae_lens", "torch", "transformers"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_CACHE": str(hub)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/model.safetensors").exists()


def test_a_release_in_saelens_own_format_is_read_from_an_offline_cache(hub: Path) -> None:
    """One layer's scaling factor is in the table of releases, and folded in; another's is not."""
    release, id = "gemma-2b-res-jb", "blocks.{layer}.hook_resid_post"
    for layer in (12, 17):
        folder = cached(
            hub, "jbloom/Gemma-2b-Residual-Stream-SAEs", f"gemma_2b_blocks.{layer}.hook_resid_post_16384"
        )
        hosts.save_sae(folder, layer, kind="standard", normalize_activations="expected_average_only_in")
    sae = sae_at(release, 12, id)
    rows = load_file(folder.parent / "gemma_2b_blocks.12.hook_resid_post_16384/sae_weights.safetensors")[
        "W_dec"
    ]
    assert np.array_equal(sae.directions([3]), rows[[3]])
    assert sae.load(torch.float32, torch.device("cpu")).source.neuronpedia == "gemma-2b/12-res-jb"
    with pytest.raises(RefusedSaeError, match="a factor that is not stored with it"):
        sae_at(release, 17, id)


def test_a_release_that_saelens_alone_can_read_is_read_through_it(hub: Path) -> None:
    release, id = "llama_scope_lxr_8x", "l{layer}r_8x"
    folder = cached(hub, "fnlp/Llama3_1-8B-Base-LXR-8x", "Llama3_1-8B-Base-L2R-8x")
    (folder / "checkpoints").mkdir(parents=True)
    said = {"d_model": 32, "d_sae": 64, "jump_relu_threshold": 0.5, "hook_point_in": "blocks.2.hook_resid_post",
            "dataset_average_activation_norm": {"in": 4.0}}  # fmt: skip
    (folder / "hyperparams.json").write_text(json.dumps(said))
    sae = sae_at(release, 2, id)
    assert (sae.d_in, sae.d_sae, sae.description.architecture) == (32, 64, "jumprelu")
    with pytest.raises(SaeError, match="SAELens cannot read the SAE llama_scope_lxr_8x l2r_8x"):
        sae.directions([3])  # its config is in the cache, its weights are not
    tensors = {"encoder.weight": torch.randn(64, 32), "decoder.weight": torch.randn(32, 64),
               "encoder.bias": torch.randn(64), "decoder.bias": torch.randn(32)}  # fmt: skip
    save_file(tensors, folder / "checkpoints/final.safetensors")
    (direction,) = sae_at(release, 2, id).directions([3])
    expected = tensors["decoder.weight"][:, 3].numpy()
    assert np.allclose(direction / np.linalg.norm(direction), expected / np.linalg.norm(expected), atol=1e-6)
    assert sae.load(torch.float32, torch.device("cpu")).source.d_sae == 64
    (folder / "hyperparams.json").write_text(json.dumps(said | {"hook_point_in": "blocks.2.hook_mlp_out"}))
    with pytest.raises(
        RefusedSaeError, match="l2r_8x reads blocks.2.hook_mlp_out: expected block 2's output"
    ):
        sae_at(release, 2, id)


def test_a_release_of_gemma_scope_is_read_where_the_table_says_that_its_layers_lie(hub: Path) -> None:
    """``canonical`` is a name of SAELens' alone: each layer lies under the sparsity that was measured."""
    release, id = "gemma-scope-2b-pt-res-canonical", "layer_{layer}/width_16k/canonical"
    rows = np.random.default_rng(0).standard_normal((64, 32), np.float32)
    folder = cached(hub, "google/gemma-scope-2b-pt-res", "layer_0/width_16k/average_l0_105")
    folder.mkdir(parents=True)
    w_enc = np.ascontiguousarray(rows.T)
    np.savez(
        folder / "params.npz", W_enc=w_enc, W_dec=rows, b_enc=rows[:, 0], b_dec=rows[0], threshold=rows[:, 1]
    )
    sae = sae_at(release, 0, id)
    assert np.array_equal(sae.directions([5, 2]), rows[[5, 2]])
    assert (
        sae.load(torch.float32, torch.device("cpu")).source.neuronpedia == "gemma-2-2b/0-gemmascope-res-16k"
    )


class Bomb:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self._mark,))


@pytest.fixture
def qwen_scope(hub: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a layer of Qwen-Scope lies; the model is as narrow as a test's, the SAE as wide as published."""
    from sae_lens.loading import pretrained_sae_loaders

    monkeypatch.setitem(
        pretrained_sae_loaders.QWEN_SCOPE_MODEL_INFO, "Qwen3-1.7B-Base", ("Qwen/Qwen3-1.7B-Base", 8)
    )
    folder = cached(hub, "Qwen/SAE-Res-Qwen3-1.7B-Base-W32K-L0_50", "")
    folder.mkdir(parents=True)
    return folder / "layer2.sae.pt"


def test_qwen_scope_is_read_as_it_is_published(qwen_scope: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    w_enc, w_dec = (torch.randn(shape, generator=generator) for shape in ((1 << 15, 8), (8, 1 << 15)))
    biases = {
        "b_enc": torch.randn(1 << 15, generator=generator),
        "b_dec": torch.randn(8, generator=generator),
    }
    torch.save({"W_enc": w_enc, "W_dec": w_dec, **biases}, qwen_scope)
    sae = sae_at("qwen-scope-3-1.7b-base-w32k-l50", 2, "layer{layer}")
    described = (sae.d_in, sae.d_sae, sae.description.architecture, sae.description.hook_point)
    assert described == (8, 1 << 15, "topk", "blocks.2.hook_resid_post")
    assert np.array_equal(sae.directions([7, 3]), w_dec[:, [7, 3]].T.numpy())
    x = torch.randn(4, 8, generator=generator)
    top = (x @ w_enc.T + biases["b_enc"]).topk(50)
    expected = torch.zeros(4, 1 << 15).scatter_(1, top.indices, top.values.relu())
    encoder = sae.load(torch.float32, torch.device("cpu")).encoder
    features = encoder.encode(x)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(encoder.decode(features), expected @ w_dec.T + biases["b_dec"])


def test_what_is_more_than_tensors_in_a_pickled_release_is_refused_and_does_not_run(
    qwen_scope: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"W_enc": Bomb(tmp_path / "mark")}, qwen_scope)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(SaeError, match="SAELens cannot read the SAE .* layer2"):
        sae_at("qwen-scope-3-1.7b-base-w32k-l50", 2, "layer{layer}").directions([0])
    assert not (tmp_path / "mark").exists()
