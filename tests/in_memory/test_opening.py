"""Every tensor of a task vector finds its parameter, whatever the layout, or is refused by name."""

import json
from pathlib import Path

import pytest
import torch

from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.in_memory.weights import everywhere
from sae_merge_method.models.tensor_names import common_name
from tests import tiny
from tests.diagnose.hosts import save_tokenizer
from tests.in_memory.models import batch_of, bits, changed, llama, loss_of, near
from tests.layouts.checkpoints import LAYOUTS, gemma3


@pytest.fixture(scope="module")
def hub_base(tmp_path_factory) -> Path:
    base = gemma3(tmp_path_factory.mktemp("hub") / "base", "HUB", 0, dtype=torch.float32)
    save_tokenizer(base)
    config = json.loads((base / "config.json").read_text())
    config["vision_config"]["vision_use_head"] = False  # as published: it has none
    (base / "config.json").write_text(json.dumps(config))
    return base


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_donor_in_any_layout_is_edited_in_whole(hub_base, tmp_path, layout):
    donor = gemma3(tmp_path / "donor", layout, 1, dtype=torch.float32)
    with open_edited(str(hub_base), [str(donor)], beside=tmp_path) as edited:
        edited.set_weights(everywhere(1.0))
        wanted = {common_name(name): tensor for name, tensor in tiny.load_tensors(donor).items()}
        text = [tensor for tensor in edited.tensors if "vision" not in tensor.name]
        assert len(text) == len(edited.tensors) == 4 * len(tiny.layer_parts()) + 2
        for tensor in text:
            torch.testing.assert_close(tensor.parameter.detach(), wanted[common_name(tensor.name)])
        assert edited.left_out == ()


@pytest.mark.parametrize("bare", ["base", "donor"])
def test_a_gpt2_without_its_head_goes_with_one_that_has_it(tmp_path, bare):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=32, n_positions=16)
    for seed, role in enumerate(("base", "donor")):
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config)
        (model.transformer if role == bare else model).save_pretrained(tmp_path / role)
        save_tokenizer(tmp_path / role)
    with open_edited(str(tmp_path / "base"), [str(tmp_path / "donor")], beside=tmp_path) as edited:
        outside = {tensor.part for tensor in edited.tensors if tensor.layer is None}
        assert outside == {
            f"transformer.{name}" for name in ("wte.weight", "wpe.weight", "ln_f.weight", "ln_f.bias")
        }
        assert edited.left_out == ()


def test_a_base_without_vision_is_matched_with_a_donor_that_sees(hub_base, tmp_path):
    base = gemma3(tmp_path / "base", "TXT", 0, dtype=torch.float32)
    save_tokenizer(base)
    with open_edited(str(base), [str(hub_base)], beside=tmp_path) as edited:
        dots = edited.dots(loss_of(edited.model, batch_of(edited.model)))
    assert not dots.values.any()  # the same weights under other names


def test_only_the_layers_are_edited_where_nothing_else_is_asked_for(tmp_path):
    base = llama(tmp_path / "base")
    with open_edited(str(base), [str(base)], beside=tmp_path, outside=False) as edited:
        assert {tensor.layer for tensor in edited.tensors} == {0, 1, 2}


def test_every_tensor_knows_what_it_is_a_part_of(tmp_path):
    base = llama(tmp_path / "base", n_layers=1)
    with open_edited(str(base), [str(base)], beside=tmp_path) as edited:
        kinds = {tensor.part: tensor.kind for tensor in edited.tensors}
    assert kinds["self_attn.q_proj.weight"] == "attention"
    assert kinds["mlp.down_proj.weight"] == "MLP"
    assert kinds["post_attention_layernorm.weight"] == "norm"
    assert kinds["lm_head.weight"] == "lm_head"


def test_an_adapter_is_a_donor_of_what_it_changes(tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = llama(tmp_path / "base")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base)
    tuned = get_peft_model(model, LoraConfig(r=2, target_modules=["down_proj"], init_lora_weights=False))
    tuned.save_pretrained(tmp_path / "adapter")
    with open_edited(str(base), [f"{base}+{tmp_path / 'adapter'}"], beside=tmp_path / "out") as edited:
        before = bits(edited.model.causal)
        edited.set_weights(everywhere(1.0))
        moved = {name for name, was in bits(edited.model.causal).items() if (was != before[name]).any()}
        assert moved == {f"model.layers.{layer}.mlp.down_proj.weight" for layer in range(3)}
        merged = tuned.merge_and_unload()
        ours = dict(edited.model.causal.named_parameters())
        for name in moved:
            torch.testing.assert_close(ours[name].detach(), merged.get_parameter(name).detach())
        assert "adapter" in edited.left_out[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]


def test_experts_that_transformers_fuses_are_refused_by_name(tmp_path):
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=32, hidden_size=16, intermediate_size=16, moe_intermediate_size=8, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, num_experts=4, num_experts_per_tok=2,
    )  # fmt: skip
    Qwen3MoeForCausalLM(config).save_pretrained(tmp_path / "base")
    save_tokenizer(tmp_path / "base")
    near(tmp_path / "base", tmp_path / "donor")
    with (
        pytest.raises(ModelError, match=r"experts\.0\.\w+_proj\.weight.*mlp\.experts\.\w+"),
        open_edited(str(tmp_path / "base"), [str(tmp_path / "donor")], beside=tmp_path),
    ):
        pass


def test_a_donor_with_another_vocabulary_is_taken_in_its_layers_and_said_to_be(tmp_path, caplog):
    base = tiny.gemma3_text(tmp_path / "base", 0)
    save_tokenizer(base)
    donor = tiny.gemma3_text(tmp_path / "donor", 1, vocabulary=tiny.VOCABULARY + 16)
    with open_edited(str(base), [str(donor)], beside=tmp_path) as edited:
        assert [tensor.part for tensor in edited.tensors if tensor.layer is None] == ["norm.weight"]
    assert "embed_tokens" in edited.left_out[0]
    assert "embed_tokens" in caplog.text


def test_a_donor_of_another_family_is_refused(tmp_path):
    base = llama(tmp_path / "base")
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    with (
        pytest.raises(MergeError, match="gemma3_text"),
        open_edited(str(base), [str(donor)], beside=tmp_path),
    ):
        pass


def test_a_model_that_is_loaded_in_another_form_than_its_file_is_refused(tmp_path, monkeypatch):
    from sae_merge_method.in_memory import opening

    base = llama(tmp_path / "base")
    load = opening.load_text_model

    def permuted(*args, **options):
        model = load(*args, **options)
        model.blocks[1].self_attn.q_proj.weight.data = model.blocks[1].self_attn.q_proj.weight.data.flip(0)
        return model

    monkeypatch.setattr(opening, "load_text_model", permuted)
    with (
        pytest.raises(ModelError, match=r"layers\.1\.self_attn\.q_proj\.weight.*other numbers"),
        open_edited(str(base), [str(base)], beside=tmp_path),
    ):
        pass


def test_a_buffer_that_files_hold_is_no_part_of_a_task_vector(tmp_path):
    base = llama(tmp_path / "base")
    from safetensors.torch import load_file, save_file

    file = base / "model.safetensors"
    save_file(
        load_file(file) | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)},
        file,
        metadata={"format": "pt"},
    )
    near(base, tmp_path / "donor", only=("mlp",))
    with open_edited(str(base), [str(tmp_path / "donor")], beside=tmp_path) as edited:
        assert not any("inv_freq" in tensor.name for tensor in edited.tensors)
    changed(base, tmp_path / "other", lambda name, tensor: tensor + 1 if "inv_freq" in name else tensor)
    with open_edited(str(base), [str(tmp_path / "other")], beside=tmp_path) as edited:
        assert not any("inv_freq" in tensor.name for tensor in edited.tensors)
