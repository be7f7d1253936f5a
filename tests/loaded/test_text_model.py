"""Which models are loaded, and which are refused with the reason."""

from pathlib import Path

import pytest

from sae_merge_method.errors import ModelError, UsageError
from sae_merge_method.loaded.text_model import load_text_model


def test_a_checkpoint_with_a_missing_weight_is_refused_not_filled_at_random(
    gemma3: Path, tmp_path: Path
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(gemma3, tmp_path / "model"))
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weights .* would be random.*layers.1.mlp.up_proj"):
        load_text_model(str(folder))


def test_a_checkpoint_with_more_layers_than_its_config_is_refused(gemma3: Path, tmp_path: Path) -> None:
    import json
    import shutil

    folder = Path(shutil.copytree(gemma3, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    config |= {"num_hidden_layers": 3, "layer_types": config["layer_types"][:3]}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"would go unused.*layers\.3"):
        load_text_model(str(folder))


def test_float16_is_refused_on_gemma_3(gemma3: Path) -> None:
    with pytest.raises(ModelError, match="float16 overflows on Gemma 3"):
        load_text_model(str(gemma3), dtype="float16")


def test_what_is_no_model_or_no_device_is_refused(gemma3: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no config.json"):
        load_text_model(str(tmp_path))
    with pytest.raises(ModelError, match="cannot load the model"):
        load_text_model("no-such-owner/no-such-model")
    with pytest.raises(UsageError, match="cannot use the device 'cuda:9'"):
        load_text_model(str(gemma3), device="cuda:9")
    with pytest.raises(UsageError, match="owner/name@revision"):
        load_text_model("owner/name@")
