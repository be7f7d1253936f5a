"""Ways to damage a merged folder, and what an audit finds wrong with it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sae_merge_method.verify import sources
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.geometry import scenes
from tests.recipes import recipe_text, run_recipe

Q_PROJ = "model.layers.1.self_attn.q_proj.weight"
CLOSED = "model.layers.2.self_attn.q_proj.weight"


@pytest.fixture(scope="session")
def cut(tmp_path_factory) -> Path:
    """A merge by the scalpel, and the scene it was made of."""
    folder = tmp_path_factory.mktemp("scalpel")
    scene = scenes.build(folder)
    recipe = recipe_text(scene.base, scene.donor, f'layers: "1, 3", diagnosis: "{scene.diagnosis}", rank: 4')
    recipe = recipe.replace("sae_stethoscope", "sae_scalpel")
    run_recipe(recipe, folder / "cut")
    return folder / "cut"


def rewrite(folder: Path, change: Callable[[tiny.Tensors], object]) -> Path:
    """Change a folder's only weight file."""
    tensors = {name: tensor.clone() for name, tensor in tiny.load_tensors(folder).items()}
    change(tensors)
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def flip_one_bit(name: str) -> Callable[[tiny.Tensors], None]:
    def change(tensors: tiny.Tensors) -> None:
        tensors[name].view(torch.uint8).view(-1)[5] ^= 1

    return change


def swap_layers(tensors: tiny.Tensors) -> None:
    for name in [name for name in tensors if name.startswith("model.layers.1.")]:
        other = name.replace("layers.1.", "layers.3.")
        tensors[name], tensors[other] = tensors[other], tensors[name]


def violations(folder: Path, **where: object) -> dict[str, str]:
    """What an audit finds wrong, by name."""
    return {violation.where: violation.what for violation in verify(folder, **where).violated}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither base nor donor is at hand."""
    monkeypatch.setattr(sources, "folder_at_hand", lambda *_: None)
