"""A loaded model takes the bytes of an edited checkpoint, and is afterwards what it was, to the last bit."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from sae_merge_method.errors import ModelError
from sae_merge_method.in_memory.swapped_layers import SwappedLayers
from sae_merge_method.models.checkpoint import open_checkpoint
from tests import tiny
from tests.in_memory.models import bits, llama, near

NAMES = ("model.layers.1.mlp.up_proj.weight", "model.layers.2.input_layernorm.weight")


def written(into, checkpoint, folder, names=NAMES):
    """Hand on a checkpoint's bytes, in two pieces each."""
    tensors = tiny.load_tensors(folder)
    for name in names:
        raw = memoryview(bytearray(tensors[name].view(torch.uint8).numpy().tobytes()))
        write = into(checkpoint.tensors[name])
        write(raw[:16], 0)
        write(raw[16:], 16)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_model_in_between_is_the_one_that_would_be_loaded(tmp_path, dtype):
    base = llama(tmp_path / "base", dtype="bfloat16", tied=True)
    edited = near(base, tmp_path / "edited", only=NAMES)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    before, expected = bits(model), bits(AutoModelForCausalLM.from_pretrained(edited, dtype=dtype))
    layers = SwappedLayers(model, open_checkpoint(base))
    with layers.swapped(NAMES) as into:
        written(into, layers.checkpoint, edited)
        assert all((value == expected[name]).all() for name, value in bits(model).items())
        assert not layers.is_intact
    assert all((value == before[name]).all() for name, value in bits(model).items())
    assert layers.is_intact


def test_what_was_changed_beside_is_named_and_the_model_no_longer_trusted(tmp_path):
    base = llama(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base)
    layers = SwappedLayers(model, open_checkpoint(base))
    words = r"model\.norm\.weight of the loaded .*base is not what it was before it was edited"
    with pytest.raises(ModelError, match=words), layers.swapped(NAMES):
        model.model.norm.weight.data[3] += 1
    assert not layers.is_intact


def test_what_transformers_keeps_in_another_form_takes_nothing(tmp_path):
    base = llama(tmp_path / "base")
    tensors = load_file(base / "model.safetensors")
    extra = "model.layers.1.self_attn.rotary_emb.inv_freq"  # of old checkpoints; computed anew today
    save_file(tensors | {extra: torch.ones(4)}, base / "model.safetensors", metadata={"format": "pt"})
    model = AutoModelForCausalLM.from_pretrained(base)
    block = model.model.layers[0]
    block.mlp.up_proj.weight.data = block.mlp.up_proj.weight.data.t().contiguous().t()
    block.mlp.gate_proj.weight.data[0, 0] += 1
    block.post_attention_layernorm.weight = block.input_layernorm.weight  # one tensor for two
    layers = SwappedLayers(model, open_checkpoint(base))
    before = bits(model)
    kept = ["model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.gate_proj.weight", extra]
    kept += [f"model.layers.0.{norm}_layernorm.weight" for norm in ("input", "post_attention")]
    with layers.swapped(kept) as into:
        for name in kept:
            entry = layers.checkpoint.tensors[name]
            into(entry)(memoryview(bytearray(entry.nbytes)), 0)
        assert all((value == before[name]).all() for name, value in bits(model).items())


def test_another_look_at_the_files_tells_whether_they_are_still_those(tmp_path):
    base = llama(tmp_path / "base")
    layers = SwappedLayers(AutoModelForCausalLM.from_pretrained(base), open_checkpoint(base))
    assert layers.is_of(open_checkpoint(tmp_path / "base" / ".." / "base"))
    near(base, tmp_path / "other")
    assert not layers.is_of(open_checkpoint(tmp_path / "other"))
