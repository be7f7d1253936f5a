"""Decoder directions and their ranking: from files as SAELens and Gemma Scope write them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sae_merge_method.errors import RecipeError, SaeError
from sae_merge_method.recipe.subspaces import parse_features
from sae_merge_method.saes.ranking import rank_features
from sae_merge_method.saes.sae import open_decoder
from tests.geometry import scenes


def test_rows_of_a_folder_that_saelens_wrote_equal_its_own_decoder(tmp_path):
    from sae_lens import SAE, StandardSAE, StandardSAEConfig

    sae = StandardSAE(StandardSAEConfig(d_in=16, d_sae=32))
    sae.cfg.metadata.hook_name = "blocks.2.hook_resid_post"
    sae.save_model(tmp_path / "layer_2")
    decoder = open_decoder(str(tmp_path / "layer_{layer}"), None, 2)
    expected = SAE.load_from_disk(tmp_path / "layer_2").W_dec.detach().numpy()
    assert (decoder.d_sae, decoder.d) == (32, 16)
    assert np.array_equal(decoder.directions([31, 0, 7]), expected[[31, 0, 7]])
    with pytest.raises(SaeError, match=r"has 32 features, 0 to 31; feature 32"):
        decoder.directions([32])
    (tmp_path / "layer_2").rename(tmp_path / "layer_3")
    with pytest.raises(SaeError, match=r"belongs to layer 2 \(blocks.2.hook_resid_post\), not 3"):
        open_decoder(str(tmp_path / "layer_{layer}"), None, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_gemma_scope_folders_are_read_in_any_precision(tmp_path: Path, dtype):
    rows = torch.randn(32, 16).to(dtype)
    folder = tmp_path / "resid_post_all" / "layer_4_width_16k"
    folder.mkdir(parents=True)
    save_file({"w_dec": rows, "w_enc": rows.T.contiguous()}, folder / "params.safetensors")
    (folder / "config.json").write_text(json.dumps({"hf_hook_point_in": "model.layers.4.output"}))
    decoder = open_decoder(str(tmp_path / "resid_post_all"), "layer_{layer}_width_16k", 4)
    assert np.array_equal(decoder.directions([5, 1]), rows[[5, 1]].double().numpy())


def test_a_missing_sae_and_a_strange_folder_are_named(tmp_path):
    with pytest.raises(SaeError, match="no SAE of layer 4: there is no folder .*layer_4"):
        open_decoder(f"{tmp_path}/layer_{{layer}}", None, 4)
    with pytest.raises(SaeError, match="expected sae_weights.safetensors or params.safetensors"):
        open_decoder(str(tmp_path), None, 4)


def test_a_gemma_scope_release_is_read_from_an_offline_cache(tmp_path: Path, monkeypatch):
    """SAELens knows where the release lies; its own reader would ask the Hub all the same."""
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--google--gemma-scope-2-4b-it"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    folder = repository / "snapshots" / commit / "resid_post_all" / "layer_9_width_16k_l0_small"
    folder.mkdir(parents=True)
    rows = torch.randn(32, 16)
    save_file({"w_dec": rows}, folder / "params.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    release, template = "gemma-scope-2-4b-it-res-all", "layer_{layer}_width_16k_l0_small"
    assert np.array_equal(open_decoder(release, template, 9).directions([3]), rows[[3]])
    with pytest.raises(SaeError, match="cannot read the SAE gemma-scope-2-4b-it-res-all layer_10"):
        open_decoder(release, template, 10)
    with pytest.raises(SaeError, match="has no SAE 'layer_99_"):
        open_decoder(release, template, 99)
    with pytest.raises(SaeError, match="neither a folder nor a release"):
        open_decoder("no-such-release", template, 9)


def test_features_are_ranked_by_the_selectivity_score_of_the_diagnosis():
    from sae_merge_method.diagnose.specificity import selectivity

    usage, documents = scenes.usage(1), scenes.documents()
    dense = np.zeros((scenes.N_DOCUMENTS, scenes.D_SAE))
    dense[usage.rows(), usage.indices] = usage.means()
    target, control = (
        {"usage": torch.from_numpy(dense[side].mean(0))}
        for side in (documents.is_target, ~documents.is_target)
    )
    ranking = rank_features(usage, documents)
    expected = selectivity(target, control).numpy()
    assert np.allclose(ranking.selectivity, expected[ranking.features], atol=1e-12)
    assert list(ranking.features[:4]) == [0, 2, 4, 6]
    assert (np.diff(ranking.selectivity) <= 0).all()


def test_features_are_written_like_the_gate_by_layer():
    assert parse_features("3, 17, 5-7", [9]) == {9: (3, 5, 6, 7, 17)}
    assert parse_features("9: 3, 5-6; 11: 4", [11, 9]) == {9: (3, 5, 6), 11: (4,)}
    for text, layers, message in (
        ("3, 17", [9, 11], "does not say of which layer"),
        ("9: 3", [9, 11], "expected features for layers 9, 11, got 9"),
        ("9: 3; 9: 4", [9], "each layer once"),
        ("nine: 3", [9], "each layer once, got 'nine: 3'"),
    ):
        with pytest.raises(RecipeError, match=message):
            parse_features(text, layers)
