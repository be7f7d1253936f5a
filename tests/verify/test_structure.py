"""Whether a checkpoint is whole in itself: names, shards, a config that fits."""

import shutil

from tests import tiny
from tests.verify.conftest import flip_one_bit, rewrite, violations


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
