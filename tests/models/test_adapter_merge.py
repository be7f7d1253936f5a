"""A merged adapter is what peft makes of it, whatever kind of LoRA it is and wherever its names come from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from sae_merge_method.models.adapter import Adapter, open_adapter
from sae_merge_method.models.adapter_merge import change_norm, merge_adapter
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.reading import read_tensor
from sae_merge_method.models.tensor_names import layer_part
from tests import tiny

LAYERS = (1, 3)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny.gemma3_text(tmp_path_factory.mktemp("adapters") / "base", 0)


def trained(base: Path, out: Path, **settings: Any) -> Path:
    """An adapter as peft saves it, all of whose numbers are random."""
    torch.manual_seed(0)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(**{"r": 2, "lora_alpha": 3, "target_modules": ["q_proj", "down_proj"]} | settings),
    )
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            scale = 1.0 if "magnitude" in name else 0.1
            parameter.data = parameter.data + scale * torch.rand_like(parameter)
    model.save_pretrained(out)
    return out


def by_peft(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    return dict(model.merge_and_unload().state_dict())


def by_us(base: Path, adapter: Path, out: Path, **given: Any) -> Checkpoint:
    model, opened = open_checkpoint(base), open_adapter(adapter)
    opened.require_fits(model, LAYERS, "base+adapter")
    out.mkdir()
    return merge_adapter(opened, model, LAYERS, out, **given)


def assert_same(merged: Checkpoint, expected: dict[str, torch.Tensor], base: Path) -> None:
    before, changed = tiny.load_tensors(base), 0
    for name, entry in merged.tensors.items():
        part = layer_part(name)
        wanted = expected[name] if part is not None and part.layer in LAYERS else before[name]
        torch.testing.assert_close(torch.from_numpy(read_tensor(entry)), wanted, rtol=1e-6, atol=1e-6)
        changed += not torch.equal(wanted, before[name])
    assert changed


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_rslora": True},
        {"use_dora": True},
        {"use_dora": True, "use_rslora": True},
        {"rank_pattern": {"down_proj": 4}, "alpha_pattern": {"q_proj": 7}},
        {"rank_pattern": {r"^model\.layers\.1\.mlp\.down_proj": 3}, "alpha_pattern": {"layers.3.*": 5}},
        {"target_modules": "all-linear"},
        {"modules_to_save": ["input_layernorm"]},
        {"modules_to_save": ["gate_proj", "lm_head"]},
        {"target_modules": ["embed_tokens", "v_proj"]},
        {"layers_to_transform": [3]},
        {"fan_in_fan_out": True},
        {"fan_in_fan_out": True, "use_dora": True, "target_modules": ["q_proj", "o_proj"]},
    ],
    ids=str,
)
def test_each_kind_of_lora_is_what_peft_makes_of_it(base, tmp_path, settings):
    adapter = trained(base, tmp_path / "adapter", **settings)
    assert_same(by_us(base, adapter, tmp_path / "out"), by_peft(base, adapter), base)


def test_matrices_that_are_stored_the_other_way_round_are_turned(tmp_path):
    config = GPT2Config(vocab_size=48, n_embd=16, n_layer=4, n_head=2, n_positions=16)
    torch.manual_seed(1)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    for number, dora in enumerate((False, True)):
        adapter = trained(
            tmp_path / "gpt2",
            tmp_path / f"adapter-{number}",
            target_modules=["c_attn", "c_proj"],
            fan_in_fan_out=True,
            use_dora=dora,
        )
        merged = by_us(tmp_path / "gpt2", adapter, tmp_path / f"out-{number}")
        expected = by_peft(tmp_path / "gpt2", adapter)
        for name, entry in merged.tensors.items():
            part = layer_part(name)
            if part is not None and part.layer in LAYERS:
                torch.testing.assert_close(
                    torch.from_numpy(read_tensor(entry)), expected[name], rtol=1e-6, atol=1e-6
                )


def rename(adapter: Path, change: Callable[[str], str]) -> None:
    file = adapter / "adapter_model.safetensors"
    save_file({change(name): tensor for name, tensor in load_file(file).items()}, file)


PREFIX = "base_model.model."


@pytest.mark.parametrize(
    ("change", "wrappers"),
    [
        (lambda name: "_orig_mod." + name, ("_orig_mod.",)),
        (lambda name: "module." + name, ("module.",)),
        (lambda name: "module._orig_mod." + name, ("_orig_mod.", "module.")),
        (lambda name: name.replace(PREFIX, f"{PREFIX}_orig_mod."), ("_orig_mod.",)),
        (lambda name: name.replace(".mlp.", "._orig_mod.mlp."), ("_orig_mod.",)),
        (lambda name: "_fsdp_wrapped_module." + name, ("_fsdp_wrapped_module.",)),
        (lambda name: name.replace(".weight", ".default.weight"), ()),
        (lambda name: name.removeprefix(PREFIX), ()),
        (lambda name: PREFIX + name, ()),
        (lambda name: name.replace("model.model.layers", "model.model.language_model.layers"), ()),
        (lambda name: name.replace("model.model.layers", "model.language_model.model.layers"), ()),
    ],
)
def test_what_wrappers_and_layouts_leave_in_names_is_read_past_and_named(base, tmp_path, change, wrappers):
    adapter = trained(base, tmp_path / "adapter")
    expected = by_peft(base, adapter)
    rename(adapter, change)
    assert open_adapter(adapter).wrappers == wrappers
    assert_same(by_us(base, adapter, tmp_path / "out"), expected, base)


def test_the_result_is_rounded_to_the_dtype_asked_for(base, tmp_path):
    adapter = trained(base, tmp_path / "adapter")
    merged = by_us(base, adapter, tmp_path / "out", dtype="bfloat16")
    name = "model.layers.1.self_attn.q_proj.weight"
    expected = by_peft(base, adapter)[name].to(torch.bfloat16).float()
    assert torch.equal(torch.from_numpy(read_tensor(merged.tensors[name])), expected)


@pytest.mark.parametrize("settings", [{}, {"use_dora": True}, {"modules_to_save": ["gate_proj"]}], ids=str)
def test_the_size_of_a_change_is_the_norm_of_what_is_added(base, tmp_path, settings):
    adapter = trained(base, tmp_path / "adapter", **settings)
    model, opened, before = open_checkpoint(base), open_adapter(adapter), tiny.load_tensors(base)
    after = by_peft(base, adapter)
    for part in (*opened.factors, *opened.saved):
        name = model.layer_tensors[part].name
        moved = float((after[name] - before[name]).norm())
        assert change_norm(opened, part, model) == pytest.approx(moved, rel=1e-4)


def opened_with(base: Path, out: Path, **config: Any) -> Adapter:
    adapter = trained(base, out)
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return open_adapter(adapter)


def test_an_untouched_dora_changes_nothing(base, tmp_path):
    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["q_proj"], use_dora=True)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(tmp_path / "adapter")
    opened, model = open_adapter(tmp_path / "adapter"), open_checkpoint(base)
    assert all(change_norm(opened, part, model) == 0 for part in opened.factors)
