"""A fingerprint is the same for every layout of one model, and another for every other model."""

import json
from pathlib import Path

import pytest
import torch

from sae_merge_method.artifacts.fingerprint import Fingerprint
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.models.checkpoint import open_checkpoint
from tests import tiny


def of(folder: Path) -> Fingerprint:
    return fingerprint(open_checkpoint(folder))


@pytest.fixture
def base(tmp_path) -> Path:
    return tiny.gemma3_text(tmp_path / "base", 0)


def test_shards_names_and_a_vision_tower_change_nothing(base, tmp_path):
    shards = tiny.gemma3_text(tmp_path / "shards", 0, shards=3)
    multimodal = tiny.gemma3_multimodal(tmp_path / "multimodal", 0)
    bare = tiny.save_checkpoint(tmp_path / "bare", tiny.text_config(), tiny.text_tensors(0, prefix=""))
    assert of(base) == of(shards) == of(multimodal) == of(bare)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_another_dtype_of_one_model_agrees_in_the_narrower_one(base, tmp_path, dtype):
    other = of(tiny.gemma3_text(tmp_path / "other", 0, dtype=dtype))
    name = str(dtype).removeprefix("torch.")
    expected = "float32" if dtype == torch.float64 else name
    assert other.dtype == name
    assert of(base).agrees_in(other) == other.agrees_in(of(base)) == expected


def test_a_model_and_its_wider_copy_hold_the_same_numbers(tmp_path):
    narrow = tiny.gemma3_text(tmp_path / "narrow", 0, dtype=torch.bfloat16)
    wide = {name: tensor.float() for name, tensor in tiny.load_tensors(narrow).items()}
    copy = tiny.save_checkpoint(tmp_path / "wide", tiny.text_config(), wide)
    assert of(narrow).agrees_in(of(copy)) == "float32"


@pytest.mark.parametrize("part", ["layers.2.mlp.up_proj.weight", "layers.0.input_layernorm.weight", "embed"])
def test_one_tensor_that_was_tuned_makes_another_model(base, tmp_path, part):
    def tune(tensors: tiny.Tensors) -> None:
        for name in tensors:
            if part in name:
                tensors[name] += 0.01

    tuned = of(tiny.gemma3_text(tmp_path / "tuned", 0, change=tune))
    assert of(base).agrees_in(tuned) is None
    assert of(base).tensors == tuned.tensors


def test_a_padded_embedding_and_computed_buffers_are_no_other_model(base, tmp_path):
    tensors = tiny.text_tensors(0)
    padding = torch.zeros(16, tiny.D_MODEL)
    tensors["model.embed_tokens.weight"] = torch.cat([tensors["model.embed_tokens.weight"], padding])
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    padded = tiny.save_checkpoint(tmp_path / "padded", tiny.text_config(64), tensors)
    assert of(base).agrees_in(of(padded)) == "float32"


def test_a_model_of_another_depth_has_other_tensors(base, tmp_path):
    assert of(base).tensors != of(tiny.gemma3_text(tmp_path / "deep", 0, n_layers=6)).tensors


def test_large_tensors_are_sampled_at_both_ends(tmp_path):
    def model(name: str, **changed: float) -> Fingerprint:
        tensors = tiny.text_tensors(0)
        large = torch.zeros(100_000)
        for at, value in changed.items():
            large[int(at[1:])] = value
        tensors["model.layers.0.mlp.up_proj.weight"] = large
        return of(tiny.save_checkpoint(tmp_path / name, tiny.text_config(), tensors))

    plain = model("plain")
    assert plain.agrees_in(model("first", i0=1.0)) is None
    assert plain.agrees_in(model("last", i99999=1.0)) is None


def test_it_survives_its_file(base):
    taken = of(base)
    assert Fingerprint.model_validate(json.loads(taken.model_dump_json())) == taken
