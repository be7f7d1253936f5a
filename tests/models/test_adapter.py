"""An adapter that cannot be read is refused by its true reason, and only where it is read."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sae_merge_method.errors import MergeError, ModelError, SaeMergeError
from sae_merge_method.layers import LayerModule
from sae_merge_method.models import lora_config
from sae_merge_method.models.adapter import open_adapter
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.models.lora_config import Variant
from sae_merge_method.models.wrappers import plain_name
from tests import tiny

LAYER = "base_model.model.model.layers.{}.mlp.up_proj."


def save(folder: Path, tensors: dict[str, torch.Tensor], **config: Any) -> Path:
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["up_proj"]} | config
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


def factors(*layers: int, rank: int = 2, rows: int = 32) -> dict[str, torch.Tensor]:
    tensors = {}
    for layer in layers:
        tensors[LAYER.format(layer) + "lora_A.weight"] = torch.ones(rank, tiny.D_MODEL)
        tensors[LAYER.format(layer) + "lora_B.weight"] = torch.ones(rows, rank)
    return tensors


@pytest.fixture
def model(tmp_path):
    return open_checkpoint(tiny.gemma3_text(tmp_path / "base", 0))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"peft_type": "LOHA"}, "no LoRA but another kind"),
        ({"init_lora_weights": "pissa_niter_4"}, "from a part of its model's own weights"),
        ({"init_lora_weights": "olora"}, "from a part of its model's own weights"),
        ({"alora_invocation_tokens": [3, 4]}, "only behind its invocation tokens"),
        ({"layer_replication": [[0, 2], [1, 3]]}, "repeats layers"),
        ({"use_qalora": True}, "pools its inputs"),
    ],
    ids=str,
)
def test_what_is_not_two_factors_is_refused_by_name(tmp_path, config, reason):
    with pytest.raises(ModelError, match=reason):
        open_adapter(save(tmp_path / "adapter", factors(1), **config))


BROKEN: dict[str, tuple[dict[str, torch.Tensor], dict[str, Any], str]] = {
    "one factor": (
        {LAYER.format(2) + "lora_A.weight": torch.ones(2, 16)},
        {},
        "only one of lora_A and lora_B",
    ),
    "another rank": (factors(2, rank=4), {}, "rank 2, its factors have 4 and 4"),
    "another shape": (factors(2, rows=8), {}, r"shape \[8, 16\] in layer 2's mlp.up_proj.weight"),
    "two adapters": (
        {**factors(2), LAYER.format(2) + "lora_A.other.weight": torch.ones(2, 16)},
        {},
        "two adapters in one file",
    ),
    "a bias of its own": (
        {**factors(2), LAYER.format(2) + "lora_B.bias": torch.ones(32)},
        {"lora_bias": True},
        "lora_bias",
    ),
    "codes": (
        {
            LAYER.format(2) + "lora_A.weight": torch.ones(2, 16, dtype=torch.int8),
            LAYER.format(2) + "lora_B.weight": torch.ones(32, 2),
        },
        {},
        "expected a matrix of numbers",
    ),
    "a part that the model lacks": (
        {name.replace("up_proj", "extra_proj"): tensor for name, tensor in factors(2).items()},
        {},
        "layer 2's mlp.extra_proj.weight, which its model .* does not have",
    ),
    "magnitudes of no DoRA": (
        {**factors(2), LAYER.format(2) + "lora_magnitude_vector": torch.ones(32)},
        {},
        "use_dora None, and it holds magnitudes",
    ),
    "no rank": (factors(2), {"rank_pattern": {"2.mlp.up_proj": "many"}}, "expected a number as r"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_merged_is_refused_where_it_is_read_and_nowhere_else(tmp_path, model, name):
    tensors, config, reason = BROKEN[name]
    adapter = open_adapter(save(tmp_path / "adapter", {**factors(1), **tensors}, **config))
    with pytest.raises(MergeError, match=reason):
        adapter.require_fits(model, [1, 2], "base+adapter")
    adapter.require_fits(model, [1], "base+adapter")
    adapter.require_fits(model, [1, LayerModule(2, "attn")], "base+adapter")
    with pytest.raises(MergeError, match=reason):
        adapter.require_fits(model, [LayerModule(2, "mlp")], "base+adapter")


def test_a_dora_without_its_magnitudes_is_refused(tmp_path, model):
    adapter = open_adapter(save(tmp_path / "adapter", factors(1), use_dora=True))
    with pytest.raises(MergeError, match="use_dora True, and it holds no magnitudes of model.layers.1"):
        adapter.require_fits(model, [1], "base+adapter")


def test_an_embedding_of_another_vocabulary_does_not_matter(tmp_path, model):
    tensors = factors(1) | {
        "base_model.model.model.embed_tokens.weight": torch.ones(64, 16),
        "base_model.model.lm_head.weight": torch.ones(64, 16),
        "base_model.model.model.embed_tokens.lora_embedding_A": torch.ones(2, 64),
        "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta": torch.ones(2, 16),
    }
    adapter = open_adapter(save(tmp_path / "adapter", tensors, modules_to_save=["embed_tokens", "lm_head"]))
    adapter.require_fits(model, [1], "base+adapter")
    assert {part.layer for part in (*adapter.factors, *adapter.saved)} == {1}


def test_an_adapter_of_no_decoder_layer_is_told(tmp_path, model):
    adapter = open_adapter(
        save(
            tmp_path / "adapter", {"base_model.model.model.embed_tokens.lora_embedding_A": torch.ones(2, 48)}
        )
    )
    with pytest.raises(MergeError, match="changes no decoder layer"):
        adapter.require_fits(model, [1], "base+adapter")


def test_a_pickled_adapter_and_a_missing_one_are_told_apart(tmp_path):
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="is pickled"):
        open_adapter(tmp_path)
    (tmp_path / "adapter_model.bin").unlink()
    with pytest.raises(ModelError, match="expected adapter_model.safetensors"):
        open_adapter(tmp_path)


@pytest.mark.parametrize("pattern", ["(a+)+" * 3, "a" * 500, "(unclosed"])
def test_a_hostile_pattern_is_refused_instead_of_tried(tmp_path, pattern):
    with pytest.raises(SaeMergeError, match=re.escape(pattern[:5])):
        open_adapter(save(tmp_path / "adapter", factors(1), alpha_pattern={pattern: 1}))


def test_a_models_own_part_of_a_wrappers_name_stays():
    assert (
        plain_name("module.base_model.model.model.layers.1.module.weight") == "model.layers.1.module.weight"
    )


def test_a_new_kind_is_one_row(tmp_path, monkeypatch):
    row = Variant(lambda config: config.get("use_newra"), "is a NewRA")
    monkeypatch.setattr(lora_config, "VARIANTS", (*lora_config.VARIANTS, row))
    with pytest.raises(ModelError, match="is a NewRA"):
        open_adapter(save(tmp_path / "adapter", factors(1), use_newra=True))
