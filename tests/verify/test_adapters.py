"""A donor that is a model with an adapter: an audit merges it anew, as the merge did, and leaves nothing behind."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.merge.in_place import edit_in_place
from sae_merge_method.models import adapter_merge
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.adapters import save_lora
from tests.merged import rename_models
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe
from tests.saes.at_hand import cached
from tests.verify.conftest import rewrite, violations

UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def base(tmp_path) -> Path:
    return tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)


@pytest.fixture
def recipe(tmp_path, base) -> str:
    return recipe_text(base, Path(f"{base}+{save_lora(tmp_path / 'adapter', [1, 3])}"), weight="0.7")


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_the_edit_is_proved_without_an_adapter_that_was_merged_by_hand(tmp_path, recipe, dtype):
    run_recipe(recipe, tmp_path / "out", options={"lora_merge_dtype": dtype})
    report = verify(tmp_path / "out")
    assert report.sound and not report.unproved
    assert [model.folder for model in report.against] == [tmp_path / "base"] * 2
    proved = next(sentence for sentence in report.proved if "edited tensors" in sentence)
    assert proved.startswith(
        "26 edited tensors: base + weight * (donor - base), up to the last bits of an adapter"
    )
    assert proved.endswith(
        "rounded once" if dtype is None else "bfloat16 as they were merged, then rounded again"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base", "out"]


def test_sums_in_the_order_of_another_machine_are_the_same_edit(tmp_path, monkeypatch):
    base, adapter = tiny.gemma3_text(tmp_path / "base", 0), save_lora(tmp_path / "adapter", [1, 3])
    run_recipe(recipe_text(base, Path(f"{base}+{adapter}"), weight="0.7"), tmp_path / "out")
    merged = adapter_merge._with_factors
    monkeypatch.setattr(adapter_merge, "_with_factors", lambda *given: merged(*given) * np.float32(1 + 1e-7))
    assert verify(tmp_path / "out").sound


def test_another_adapter_or_another_weight_is_found(tmp_path, recipe):
    run_recipe(recipe, tmp_path / "out")
    out = shutil.copytree(tmp_path / "out", tmp_path / "other")
    rewrite(out, lambda tensors: tensors[UP].mul_(1.05))
    assert "values differ from base + weight * (donor - base)" in violations(out)[UP]
    (tmp_path / "adapter").rename(tmp_path / "old")
    save_lora(tmp_path / "adapter", [1, 2, 3])  # the same draws, for other layers
    assert set(violations(tmp_path / "out")) == {UP.replace("1", "3")}


def test_the_user_may_name_another_place_of_the_model_and_its_adapter(tmp_path, base, recipe):
    run_recipe(recipe, tmp_path / "out")
    base.rename(tmp_path / "b")
    (tmp_path / "adapter").rename(tmp_path / "a")
    named = {"base": tmp_path / "b", "donors": [f"{tmp_path / 'b'}+{tmp_path / 'a'}"]}
    assert not verify(tmp_path / "out", **named).unproved


def test_what_is_not_at_hand_is_said_and_not_fetched(tmp_path, base, recipe, monkeypatch):
    run_recipe(recipe, tmp_path / "out")
    (tmp_path / "adapter").rename(tmp_path / "gone")
    report = verify(tmp_path / "out")
    assert report.sound
    assert any(sentence.endswith("its adapter is not at hand") for sentence in report.unproved)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    rename_models(tmp_path / "out", str(base), f"{base}+me/adapter")
    shutil.copytree(tmp_path / "gone", cached(tmp_path / "hub", "me/adapter", ""))
    assert any("26 edited tensors" in sentence for sentence in verify(tmp_path / "out").proved)


def test_of_a_base_edited_in_place_the_adapter_is_put_upon_what_its_journal_keeps(base, recipe):
    edit_in_place(RecipeText(recipe, "recipe.yml"), options={"quiet": True})
    report = verify(base)
    assert report.sound
    assert any("26 edited tensors" in sentence for sentence in report.proved)


def test_an_adapter_upon_the_checkpoint_itself_is_a_violation(tmp_path, base, recipe):
    run_recipe(recipe, tmp_path / "out")
    rename_models(tmp_path / "out", str(base), f"{tmp_path / 'out'}+{tmp_path / 'adapter'}")
    assert "is the checkpoint itself" in violations(tmp_path / "out")["mergekit_config.yml"]


def test_peft_merges_for_mergekit_yaml_and_that_is_not_judged_by_ours(tmp_path, recipe):
    plain_mergekit(recipe, tmp_path / "out", lora_merge_cache=str(tmp_path / "cache"))
    report = verify(tmp_path / "out")
    assert report.sound
    assert any("mergekit-yaml merges an adapter through peft" in sentence for sentence in report.unproved)
