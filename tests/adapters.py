"""A plain LoRA adapter of the tiny models, written down without peft."""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests import tiny

RANK = 2


def save_lora(folder: Path, layers: Iterable[int], part: str = "mlp.up_proj", rows: int = 32) -> Path:
    """An adapter that changes one matrix (rows, d) in each of these layers, and nothing else."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(7)
    tensors = {}
    for layer in layers:
        name = f"base_model.model.model.layers.{layer}.{part}"
        tensors[f"{name}.lora_A.weight"] = torch.randn(RANK, tiny.D_MODEL, generator=generator)
        tensors[f"{name}.lora_B.weight"] = torch.randn(rows, RANK, generator=generator)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 4, "target_modules": [part.split(".")[-1]]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
