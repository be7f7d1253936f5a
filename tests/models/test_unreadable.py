"""Quantised weights are said to be what they are, with a way out, wherever a model is named."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.errors import MergeError, ModelError, SaeMergeError
from sae_merge_method.loaded.text_model import load_text_model
from sae_merge_method.merge.preview import preview
from sae_merge_method.models import unreadable
from sae_merge_method.models.hub import open_model
from sae_merge_method.models.unreadable import (
    UNREADABLE,
    Unreadable,
    held_in_files,
    quantised_by_config,
    quantised_by_names,
)
from sae_merge_method.recipe.check import check_recipe
from tests import tiny
from tests.recipes import recipe_text, run_recipe

CODES = torch.zeros(32, 16, dtype=torch.uint8)
QUANTISED: dict[str, tuple[dict[str, Any], dict[str, torch.Tensor | None]]] = {
    "FP8": (
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
        {"weight": torch.zeros(32, 16).to(torch.float8_e4m3fn), "weight_scale_inv": torch.ones(1, 1)},
    ),
    "bitsandbytes": (
        {"quantization_config": {"load_in_4bit": True}},
        {
            "weight": torch.zeros(256, 1, dtype=torch.uint8),
            "weight.absmax": torch.ones(8),
            "weight.quant_state.bitsandbytes__nf4": torch.zeros(9, dtype=torch.uint8),
        },
    ),
    "bitsandbytes int8": (
        {},
        {"weight": torch.zeros(32, 16, dtype=torch.int8), "SCB": torch.ones(32)},
    ),
    "MXFP4": (
        {"quantization_config": {"quant_method": "mxfp4"}},
        {"weight": None, "weight_blocks": torch.zeros(32, 1, 8, dtype=torch.uint8), "weight_scales": CODES},
    ),
    "GPTQ": (
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"weight": None, "qweight": torch.zeros(2, 32, dtype=torch.int32), "g_idx": torch.zeros(16)},
    ),
    "AWQ": (
        {"text_config": {"quantization_config": {"quant_method": "awq"}}},
        {"weight": None, "qweight": torch.zeros(16, 4, dtype=torch.int32), "scales": torch.ones(1, 32)},
    ),
    "compressed-tensors": (
        {"compression_config": {"config_groups": {}}},
        {"weight": None, "weight_packed": CODES, "weight_scale": torch.ones(32, 1)},
    ),
    "MLX": (
        {"quantization": {"group_size": 64, "bits": 4}},
        {"weight": torch.zeros(32, 2, dtype=torch.uint32), "scales": torch.ones(32, 1)},
    ),
}


def quantised(folder: Path, kind: str, *, layer: int = 1, with_config: bool = True) -> Path:
    """A model whose up projection of one layer is stored as that kind stores it."""
    config, stored = QUANTISED[kind]
    tensors = tiny.text_tensors(1)
    for name, tensor in stored.items():
        full = f"model.layers.{layer}.mlp.up_proj.{name}"
        if tensor is None:
            tensors.pop(full)
        else:
            tensors[full] = tensor
    whole = tiny.text_config()
    if with_config:
        nested = config.get("text_config")
        whole |= {"text_config": tiny.text_config() | nested} if nested else config
    return tiny.save_checkpoint(folder, whole, tensors)


@pytest.fixture
def plain(tmp_path) -> Path:
    return tiny.gemma3_text(tmp_path / "plain", 0)


@pytest.mark.parametrize("with_config", [True, False])
@pytest.mark.parametrize("kind", QUANTISED)
def test_a_quantised_donor_is_said_to_be_one_with_the_way_out(tmp_path, plain, kind, with_config):
    donor = quantised(tmp_path / "donor", kind, with_config=with_config)
    row = UNREADABLE[kind.split()[0]]
    expected = f"the donor {donor} {row.what}"
    with pytest.raises(MergeError) as error:
        preview(RecipeText(recipe_text(plain, donor), "r"))
    assert expected in str(error.value) and row.way_out in str(error.value)
    assert any(
        expected in one.text for one in check_recipe(RecipeText(recipe_text(plain, donor), "r")).faults
    )


def test_a_quantised_base_is_said_to_be_one(tmp_path, plain):
    base = quantised(tmp_path / "base", "FP8")
    with pytest.raises(MergeError, match=f"the base {base} is quantised to FP8"):
        run_recipe(recipe_text(base, plain), tmp_path / "out")
    with pytest.raises(ModelError, match="is quantised to FP8"):
        load_text_model(str(base))


def test_what_is_quantised_outside_the_selected_layers_does_not_matter(tmp_path, plain):
    donor = quantised(tmp_path / "donor", "FP8", layer=2)
    report = run_recipe(recipe_text(plain, donor), tmp_path / "out")
    assert {tensor.layer for tensor in report.edited()} == {1, 3}


def test_of_a_model_whose_weights_are_elsewhere_the_config_tells():
    nested = {"text_config": {"quantization_config": {"quant_method": "awq"}}}
    assert quantised_by_config(nested) is UNREADABLE["AWQ"]
    unheard = quantised_by_config({"quantization_config": {"quant_method": "brand-new"}})
    assert unheard is not None and unheard.what == "is quantised by brand-new"
    assert quantised_by_config({"quantization_config": None}) is None


@pytest.mark.parametrize(
    ("file", "what"), [("model.Q4_K_M.gguf", "is in GGUF"), ("pytorch_model.bin", "is pickled")]
)
@pytest.mark.parametrize("with_config", [True, False])
def test_weights_in_other_files_are_named_with_the_way_out(tmp_path, plain, file, what, with_config):
    donor = tmp_path / "donor"
    donor.mkdir()
    (donor / file).write_bytes(b"GGUF")
    if with_config:
        (donor / "config.json").write_text(json.dumps(tiny.text_config()))
    for named in (donor, donor / file):
        with pytest.raises(SaeMergeError, match=what):
            open_model(str(named))
        (fault, *_) = check_recipe(RecipeText(recipe_text(plain, named), "r")).faults
        assert what in fault.text and "save_pretrained(OUT)" in fault.text
    with pytest.raises(ModelError):
        load_text_model(str(donor))


def test_other_files_beside_safetensors_say_nothing():
    assert held_in_files(["model.safetensors", "model.gguf"]) is None
    assert held_in_files(["README.md"]) is None


def test_a_new_kind_is_one_row(monkeypatch):
    row = Unreadable("ternary", "is ternary", "ask its author", ("ternary",), ("*.trits",), ("*.trit",))
    monkeypatch.setitem(unreadable.UNREADABLE, row.name, row)
    assert quantised_by_config({"quantization_config": {"quant_method": "ternary"}}) is row
    assert quantised_by_names(["model.layers.0.mlp.up_proj.trits"]) is row
    assert held_in_files(["weights.trit"]) is row
