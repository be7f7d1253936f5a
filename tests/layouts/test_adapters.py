"""LoRA adapters on every layout: the edit is base + alpha B A, or it is refused; never silently nothing."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sae_merge_method.errors import MergeError, ModelError
from tests import tiny
from tests.layouts.checkpoints import LAYOUTS, gemma3
from tests.recipes import recipe_text, run_recipe

RANK, SCALE = 2, 8 / 2
PARTS = ("self_attn.q_proj", "mlp.down_proj")


def adapter(folder: Path, model: Path, layout: str) -> Path:
    """A LoRA adapter that peft itself made on the model as transformers loads it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    loader = AutoModelForCausalLM if layout == "TXT" else AutoModelForImageTextToText
    torch.manual_seed(0)
    pattern = r".*(?<!vision_model\.encoder)\.layers\.\d+\.(self_attn\.q_proj|mlp\.down_proj)"
    config = LoraConfig(r=RANK, lora_alpha=8, target_modules=pattern, init_lora_weights=False)
    get_peft_model(loader.from_pretrained(model), config).save_pretrained(folder)
    return folder


def products(folder: Path) -> dict[tuple[int, str], torch.Tensor]:
    """B A of every text layer the adapter edits, by names written down here a second time."""
    found = load_file(folder / "adapter_model.safetensors")
    return {
        (layer, part): found[b] @ found[a]
        for layer in range(tiny.N_LAYERS)
        for part in PARTS
        for a, b in [[n for n in sorted(found) if "vision" not in n and f"layers.{layer}.{part}." in n]]
    }


def run(tmp_path: Path, base: Path, donor: str) -> tiny.Tensors:
    source = recipe_text(base, Path(donor), weight="0.5")
    run_recipe(source, tmp_path / "out")
    return tiny.load_tensors(tmp_path / "out")


@pytest.mark.parametrize(
    ("base_layout", "layout"), [*zip(LAYOUTS, LAYOUTS, strict=True), ("HUB", "TXT"), ("TXT", "RAW")]
)
def test_an_adapter_edits_the_selected_layers_of_any_layout(tmp_path, base_layout, layout):
    base = gemma3(tmp_path / "base", base_layout, 0, dtype=torch.float32)
    model = gemma3(tmp_path / "model", layout, 0, dtype=torch.float32)
    lora = adapter(tmp_path / "lora", model, layout)
    before, after = tiny.load_tensors(base), run(tmp_path, base, f"{model}+{lora}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "lora", "model", "out"]
    wanted = products(lora)
    for name in before:
        place = next(
            (
                key
                for key in wanted
                if key[0] in (1, 3) and f"layers.{key[0]}.{key[1]}." in name and "vision" not in name
            ),
            None,
        )
        if place is None:
            assert tiny.same_bytes(before[name], after[name]), name
        else:
            moved = after[name] - before[name]
            assert torch.allclose(moved, 0.5 * SCALE * wanted[place], atol=1e-6), name
            assert moved.abs().max() > 1e-3


def test_an_adapter_of_the_text_model_edits_the_multimodal_one(tmp_path):
    base = gemma3(tmp_path / "base", "HUB", 0, dtype=torch.float32)
    text = gemma3(tmp_path / "text", "TXT", 0, dtype=torch.float32)
    lora = adapter(tmp_path / "lora", text, "TXT")
    before, after = tiny.load_tensors(base), run(tmp_path, base, f"{base}+{lora}")
    name = "language_model.model.layers.3.mlp.down_proj.weight"
    expected = 0.5 * SCALE * products(lora)[(3, "mlp.down_proj")]
    assert torch.allclose(after[name] - before[name], expected, atol=1e-6)


def test_an_adapter_of_a_deeper_model_is_refused_before_anything_is_written(tmp_path):
    text = gemma3(tmp_path / "text", "TXT", 0, dtype=torch.float32)
    lora = adapter(tmp_path / "lora", text, "TXT")
    tensors = load_file(lora / "adapter_model.safetensors")
    tensors = {name.replace("layers.3.", "layers.9."): tensor for name, tensor in tensors.items()}
    save_file(tensors, lora / "adapter_model.safetensors")
    with pytest.raises(MergeError, match="a deeper model: it changes layer 9, its model has 4 layers"):
        run(tmp_path, text, f"{text}+{lora}")
    assert not (tmp_path / "out").exists()


def test_a_pickled_adapter_is_never_opened(tmp_path):
    base = gemma3(tmp_path / "base", "TXT", 0)
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    (tmp_path / "lora" / "adapter_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="only safetensors weights are read"):
        run(tmp_path, base, f"{base}+{tmp_path / 'lora'}")
