"""Gemma 2, Llama, Qwen 3 and Mistral, saved by transformers itself: both engines, and mergekit's own names."""

from pathlib import Path

import pytest
import torch

from sae_merge_method.errors import MergeError
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
    import json

    from safetensors.torch import save_file

    base = tiny.gemma3_text(tmp_path / "base", 0)
    tensors = {f"decoder.{name}": tensor for name, tensor in tiny.load_tensors(base).items()}
    save_file(tensors, base / "model.safetensors")
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    with pytest.raises(MergeError, match="has no tensor in layer 1"):
        run_recipe(recipe_text(base, donor), tmp_path / "out")
    assert json.loads((base / "config.json").read_text())["num_hidden_layers"] == tiny.N_LAYERS
