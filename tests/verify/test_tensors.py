"""A sound checkpoint is proved, and every changed tensor is caught by name."""

import os
import shutil

import pytest
import torch

from sae_merge_method.merge.run import run_recipe
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.recipes import recipe_text
from tests.verify.conftest import CLOSED, Q_PROJ, flip_one_bit, rewrite, swap_layers, violations

NORM = "model.norm.weight"


def test_our_own_merge_is_proved_in_full(merged):
    report = verify(merged.out)
    assert report.sound and not report.unproved
    proved = "\n".join(report.proved)
    assert "54 tensors: the base's names" in proved
    assert "28 tensors outside the selected layers: the base's bytes" in proved
    assert "26 edited tensors: base + weight * (donor - base), bit for bit, rounded once" in proved
    assert "54 tensors have the hashes of edit_report.json" in proved
    assert "2 tokenizer files as the base's" in proved


@pytest.mark.parametrize("hashes_only", [False, True])
@pytest.mark.parametrize(
    ("change", "where", "said", "said_by_hash"),
    [
        (
            flip_one_bit(Q_PROJ),
            Q_PROJ,
            "1 values differ from base + weight",
            "do not have the hash",
        ),
        (
            flip_one_bit(CLOSED),
            CLOSED,
            "1 values differ from the base (layer 2 is not selected)",
            "do not have the hash",
        ),
        (flip_one_bit(NORM), NORM, "differ from the base (outside the layers)", "do not have the hash"),
        (lambda t: t.pop(Q_PROJ), Q_PROJ, "the base has this tensor, the checkpoint lacks it", "lacks it"),
        (lambda t: t.pop(NORM), NORM, "the base has this tensor, the checkpoint lacks it", "lacks it"),
        (
            lambda t: t.update(extra=torch.zeros(1)),
            "extra",
            "the checkpoint has this tensor, the base does not",
            "does not list it",
        ),
        (
            swap_layers,
            Q_PROJ,
            "it holds the bytes that belong in model.layers.3.self_attn.q_proj.weight",
            "it holds the bytes that belong in model.layers.3.self_attn.q_proj.weight",
        ),
        (
            lambda t: t.update({Q_PROJ: t[Q_PROJ].bfloat16()}),
            Q_PROJ,
            "stored as BF16, expected F32",
            "BF16 [16, 16], edit_report.json says F32",
        ),
        (
            lambda t: t.update({Q_PROJ: t[Q_PROJ].reshape(8, 32)}),
            Q_PROJ,
            "shape [8, 32], expected [16, 16]",
            "F32 [8, 32], edit_report.json says F32 [16, 16]",
        ),
    ],
)
def test_a_changed_tensor_is_caught_by_name(
    tmp_path, merged, monkeypatch, change, where, said, said_by_hash, hashes_only
):
    out = rewrite(merged.copy(tmp_path / "out"), change)
    if hashes_only:
        monkeypatch.setattr("sae_merge_method.verify.sources.folder_at_hand", lambda *_: None)
        assert said_by_hash in violations(out)[where]
    else:
        (out / "edit_report.json").unlink()
        assert said in violations(out)[where]


def test_swapped_layers_violate_every_tensor_of_both_and_no_other(tmp_path, merged):
    out = rewrite(merged.copy(tmp_path / "out"), swap_layers)
    assert {name.split(".")[2] for name in violations(out)} == {"1", "3"}
    assert len(violations(out)) == 26


def test_everything_is_read_in_small_pieces(tmp_path, merged, monkeypatch):
    sizes = []
    read = os.preadv

    def watched(handle: int, buffers: list[memoryview], first: int) -> int:
        sizes.append(len(buffers[0]))
        return read(handle, buffers, first)

    monkeypatch.setattr(os, "preadv", watched)
    monkeypatch.setattr("sae_merge_method.verify.expected.VALUES_AT_ONCE", 7)
    monkeypatch.setattr("sae_merge_method.files.hashing._AT_ONCE", 30)
    assert verify(merged.out).sound
    assert max(sizes) == 30
    out = rewrite(merged.copy(tmp_path / "out"), flip_one_bit(Q_PROJ))
    assert (
        "1 values differ from base + weight * (donor - base) (layer 1 is selected), the first is number 1"
        in (violations(out)[Q_PROJ])
    )


def test_weights_left_over_from_another_checkpoint_are_caught(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    shutil.copy(merged.donor / "model.safetensors", out / "model-00001-of-00002.safetensors")
    assert "left over" in violations(out)["model-00001-of-00002.safetensors"]


def test_a_tied_head_may_be_stored_or_not(tmp_path, merged):
    def store_head(tensors: tiny.Tensors) -> None:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()

    out = merged.copy(tmp_path / "out")
    (out / "edit_report.json").unlink()
    assert not violations(rewrite(out, store_head))
    rewrite(out, flip_one_bit("lm_head.weight"))
    assert "the base does not" in violations(out)["lm_head.weight"]


def test_the_vision_tower_of_a_multimodal_model_is_proved_to_be_the_bases(tmp_path):
    base = tiny.gemma3_multimodal(tmp_path / "base", 0)
    donor = tiny.gemma3_multimodal(tmp_path / "donor", 1)
    run_recipe(recipe_text(base, donor), "r", tmp_path / "out", options={"quiet": True})
    assert verify(tmp_path / "out").sound
    name = "vision_tower.vision_model.encoder.layers.1.mlp.fc1.weight"
    rewrite(tmp_path / "out", flip_one_bit(name))
    assert "outside the layers" in violations(tmp_path / "out")[name]
