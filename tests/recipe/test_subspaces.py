"""Which features a scalpel recipe means, and of which SAEs."""

import shutil
from pathlib import Path

import pytest
import torch

from sae_merge_method.artifacts.diagnosis import read_diagnosis, write_diagnosis
from sae_merge_method.artifacts.method_parameters import ScalpelParameters
from sae_merge_method.errors import RecipeError, SaeError
from sae_merge_method.recipe.subspaces import Subspaces, parse_features
from sae_merge_method.saes.find import find_sae
from sae_merge_method.saes.opening import open_sae
from tests import tiny
from tests.diagnose import hosts
from tests.geometry import scenes
from tests.saes.at_hand import cached


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


def subspaces(scene: scenes.Scene, **given: object) -> Subspaces:
    parameters = {"diagnosis": str(scene.diagnosis), "rank": 4} | given
    return Subspaces(ScalpelParameters(**parameters), [1])


@pytest.fixture
def diagnosed(tmp_path: Path) -> scenes.Scene:
    """A scene whose SAE of layer 1 is whole, and told by its hash in the diagnosis."""
    scene = scenes.build(tmp_path)
    shutil.rmtree(tmp_path / "saes/layer_1")
    hosts.save_raw(tmp_path / "saes/layer_1", 1, d_in=tiny.D_MODEL, d_sae=scenes.D_SAE)
    source = open_sae(find_sae(scene.saes, None, 1)).load(torch.bfloat16, torch.device("cpu")).source
    found = read_diagnosis(scene.diagnosis)
    layers = tuple(
        entry.model_copy(update={"sae": source}) if entry.layer == 1 else entry for entry in found.layers
    )
    write_diagnosis(scene.diagnosis, found.model_copy(update={"layers": layers}))
    return scene


def test_features_that_a_diagnosis_ranks_are_of_its_own_saes(tmp_path, diagnosed):
    subspaces(diagnosed).check()
    copy = shutil.copytree(tmp_path / "saes", tmp_path / "copy")
    subspaces(diagnosed, sae=f"{copy}/layer_{{layer}}").check()
    shutil.rmtree(tmp_path / "saes/layer_1")
    hosts.save_raw(tmp_path / "saes/layer_1", 1, torch.ones(tiny.D_MODEL, scenes.D_SAE))
    trained_again = r"saes/layer_1 is another one than layer 1 was diagnosed with .*: its encoder's weights"
    for given in ({}, {"sae": diagnosed.saes}):
        with pytest.raises(SaeError, match=trained_again):
            subspaces(diagnosed, **given).check()
    subspaces(diagnosed, rank=None, features="3, 5").check()  # whoever lists them knows of which SAE they are


def test_another_sae_of_the_same_release_is_refused_by_name(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    scene, release = scenes.build(tmp_path), "gemma-scope-2-4b-it-res-all"
    ids = [f"layer_1_width_16k_l0_{size}" for size in ("small", "big")]
    for id in ids:
        folder = cached(tmp_path / "hub", "google/gemma-scope-2-4b-it", f"resid_post_all/{id}")
        hosts.save_raw(folder, 1, d_in=tiny.D_MODEL, d_sae=scenes.D_SAE)
    found = read_diagnosis(scene.diagnosis)
    layers = tuple(
        entry.model_copy(update={"sae": entry.sae.model_copy(update={"release": release, "id": ids[0]})})
        for entry in found.layers
    )
    write_diagnosis(scene.diagnosis, found.model_copy(update={"layers": layers}))
    subspaces(scene).check()
    with pytest.raises(
        SaeError, match=f"that was {ids[0]}, this is {ids[1]}; their features are not the same"
    ):
        subspaces(scene, sae=release, sae_id="layer_{layer}_width_16k_l0_big").check()
