"""Donors that are not plain folders: adapters, and ids in an offline Hub cache."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sae_merge_method.models.tensor_names import decoder_layer
from tests import tiny
from tests.recipes import recipe_text, run_recipe


@pytest.fixture
def adapter(tmp_path: Path, base: Path) -> Path:
    """A LoRA adapter for the tiny base, with a delta that is not zero."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base)
    tuned = get_peft_model(
        model, LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    )
    tuned.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_an_adapter_is_a_donor_without_any_cache_option(tmp_path, base, adapter, merge):
    merge(recipe_text(base, Path(f"{base}+{adapter}")))
    before, after = tiny.load_tensors(base), tiny.load_tensors(tmp_path / "out")
    changed = {name for name in before if not tiny.same_bytes(before[name], after[name])}
    assert changed == {
        name for name in before if decoder_layer(name) in (1, 3) and ("q_proj" in name or "down_proj" in name)
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base", "out"]


def test_an_adapter_edits_the_open_part_of_a_layer_alone(tmp_path, base, adapter, merge):
    merge(recipe_text(base, Path(f"{base}+{adapter}"), 'layers: "1.attn, 3.mlp"'))
    before, after = tiny.load_tensors(base), tiny.load_tensors(tmp_path / "out")
    changed = {name for name in before if not tiny.same_bytes(before[name], after[name])}
    assert changed == {"model.layers.1.self_attn.q_proj.weight", "model.layers.3.mlp.down_proj.weight"}


def test_an_adapter_gives_the_same_bytes_by_both_engines_and_is_rounded_once(tmp_path, adapter):
    narrow = tiny.gemma3_text(tmp_path / "narrow", 0, dtype=torch.bfloat16)
    text = recipe_text(narrow, Path(f"{narrow}+{adapter}"), tail="dtype: bfloat16")
    results = [
        run_recipe(text, tmp_path / engine, engine=engine).result_sha256 for engine in ("direct", "mergekit")
    ]
    assert results[0] == results[1]
    factors = load_file(adapter / "adapter_model.safetensors")
    module = "model.layers.3.mlp.down_proj"
    product = (
        factors[f"base_model.model.{module}.lora_B.weight"]
        @ factors[f"base_model.model.{module}.lora_A.weight"]
    )
    before, after = (
        tiny.load_tensors(folder)[f"{module}.weight"] for folder in (narrow, tmp_path / "direct")
    )
    assert torch.equal(after, (before.float() + 8 / 2 * product).to(torch.bfloat16))


def test_an_adapter_over_a_base_of_several_dtypes_keeps_each_tensors_own(tmp_path, adapter):
    tensors = tiny.text_tensors(0, dtype=torch.bfloat16)
    mixed = {name: value.float() if "norm" in name else value for name, value in tensors.items()}
    base = tiny.save_checkpoint(tmp_path / "mixed", tiny.text_config(), mixed)
    run_recipe(recipe_text(base, Path(f"{base}+{adapter}")), tmp_path / "out")
    after = tiny.load_tensors(tmp_path / "out")
    assert {name: value.dtype for name, value in after.items()} == {
        name: value.dtype for name, value in mixed.items()
    }


def hub_cache(root: Path, model: Path, repo: str) -> None:
    """Lay ``model`` out as huggingface_hub's cache does."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = root / f"models--{repo.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    model.rename(repository / "snapshots" / commit)


def test_hub_ids_are_served_by_an_offline_cache(tmp_path, base, donor, merge):
    hub_cache(tmp_path / "hub", base, "someone/base")
    hub_cache(tmp_path / "hub", donor, "someone/donor")
    source = recipe_text(Path("someone/base"), Path("someone/donor@main"))
    report = merge(source, transformers_cache=str(tmp_path / "hub"))
    assert report.base_model == "someone/base"
    assert {tensor.layer for tensor in report.edited()} == {1, 3}
