"""Gemma 2, Llama, Qwen 3 and Mistral, saved by transformers itself: both engines, and mergekit's own names."""

import json
from pathlib import Path

import pytest
import torch

from sae_merge_method.errors import MergeError
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.layouts.checkpoints import assert_same
from tests.recipes import recipe_text, run_recipe

FAMILIES = {
    "gemma2": "Gemma2Config",
    "llama": "LlamaConfig",
    "qwen3": "Qwen3Config",
    "mistral": "MistralConfig",
}
SIZES = {
    "vocab_size": 48, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
}  # fmt: skip


def saved(folder: Path, family: str, seed: int, tied: bool, dtype: torch.dtype, **sizes: int) -> Path:
    import transformers

    torch.manual_seed(seed)
    config = getattr(transformers, FAMILIES[family])(**SIZES | sizes, tie_word_embeddings=tied)
    transformers.AutoModelForCausalLM.from_config(config).to(dtype).save_pretrained(
        folder, max_shard_size="20KB"
    )
    return folder


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False])
def test_a_pair_of_the_family_is_edited_right_by_both_engines(tmp_path, family, tied):
    base = saved(tmp_path / "base", family, 0, tied, torch.bfloat16)
    donor = saved(tmp_path / "donor", family, 1, not tied, torch.float32, vocab_size=64)
    before, theirs = tiny.load_tensors(base), tiny.load_tensors(donor)
    wanted = dict(before)
    for name in before:
        if name.startswith("model.layers.1."):
            theta = before[name].float()
            wanted[name] = (theta + (theirs[name] - theta) * 0.75).bfloat16()
    source = recipe_text(base, donor, 'layers: "1"', weight="0.75")
    for engine in ("direct", "mergekit"):
        run_recipe(source, tmp_path / engine, engine=engine)
        assert_same(tiny.load_tensors(tmp_path / engine), wanted)


def test_another_family_or_other_heads_of_the_same_shapes_are_refused(tmp_path):
    base = saved(tmp_path / "base", "llama", 0, True, torch.float32)
    other = saved(tmp_path / "other", "mistral", 1, True, torch.float32)
    heads = saved(tmp_path / "heads", "llama", 1, True, torch.float32, num_attention_heads=4, head_dim=4,
                  num_key_value_heads=2)  # fmt: skip
    for donor, reason in (
        (other, r"the base is a llama model \(model\.layers\.N, text only\), the donor .* a mistral one"),
        (heads, "num_attention_heads is 2 in the base .*, 4 in"),
    ):
        with pytest.raises(MergeError, match=reason):
            run_recipe(recipe_text(base, donor, 'layers: "1"'), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "heads", "other"]


def test_a_base_whose_layers_are_not_found_is_refused(tmp_path):
    from safetensors.torch import save_file

    base = tiny.gemma3_text(tmp_path / "base", 0)
    tensors = {f"decoder.{name}": tensor for name, tensor in tiny.load_tensors(base).items()}
    save_file(tensors, base / "model.safetensors")
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    with pytest.raises(MergeError, match="has no tensor in layer 1"):
        run_recipe(recipe_text(base, donor), tmp_path / "out")
    assert json.loads((base / "config.json").read_text())["num_hidden_layers"] == tiny.N_LAYERS


@pytest.mark.parametrize("engine", ["direct", "mergekit"])
def test_a_base_as_qwen_published_it_takes_a_donor_as_transformers_saves_it(tmp_path, engine):
    """The one config is flat, the other nests its text model's; the processor comes along."""
    base, donor = (saved_with_images(tmp_path / name, seed) for seed, name in enumerate(("base", "donor")))
    nested = json.loads((base / "config.json").read_text())
    text = nested.pop("text_config")
    rope = {"rope_theta": 1e6, "rope_scaling": {"type": "mrope", "mrope_section": [2, 1, 1]}}
    own = {key: value for key, value in text.items() if key not in ("model_type", "rope_parameters")}
    (base / "config.json").write_text(json.dumps(nested | own | rope))
    (base / "preprocessor_config.json").write_text("{}")
    run_recipe(recipe_text(base, donor, 'layers: "1"', weight="0.5"), tmp_path / "out", engine=engine)
    assert tiny.edited_layers(tmp_path / "out", base) == {1}
    assert (tmp_path / "out/preprocessor_config.json").exists()
    assert verify(tmp_path / "out").sound


def saved_with_images(folder: Path, seed: int) -> Path:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    torch.manual_seed(seed)
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 1, 1]}
    tower = {"depth": 2, "num_heads": 2, "fullatt_block_indexes": [1], "window_size": 8, "patch_size": 4}
    sides = {"hidden_size": 16, "intermediate_size": 16, "out_hidden_size": 16}
    config = Qwen2_5_VLConfig(
        text_config={**SIZES, "max_position_embeddings": 64, "rope_parameters": rope},
        vision_config={**tower, **sides},
    )
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    return folder
