"""Merges made once, for audits: through our own command's engine and through plain mergekit."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from sae_merge_method.merge.run import run_recipe
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.geometry import scenes
from tests.recipes import recipe_text

Q_PROJ = "model.layers.1.self_attn.q_proj.weight"
CLOSED = "model.layers.2.self_attn.q_proj.weight"


@dataclass(frozen=True)
class Merged:
    """A merged folder and what it was made of."""

    out: Path
    base: Path
    donor: Path

    def copy(self, to: Path) -> Path:
        shutil.copytree(self.out, to)
        return to


@pytest.fixture(scope="session")
def merged(tmp_path_factory) -> Merged:
    """Layers 1 and 3 at weight 0.5, by sae-merge."""
    folder = tmp_path_factory.mktemp("merged")
    base = tiny.gemma3_text(folder / "base", 0)
    donor = tiny.gemma3_text(folder / "donor", 1)
    (base / "tokenizer_config.json").write_text('{"model_max_length": 64}')
    (base / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0}}, "added_tokens": []}')
    run_recipe(recipe_text(base, donor, weight="0.5"), "recipe.yml", folder / "out", options={"quiet": True})
    return Merged(folder / "out", base, donor)


@pytest.fixture(scope="session")
def cut(tmp_path_factory) -> Path:
    """A merge by the scalpel, and the scene it was made of."""
    folder = tmp_path_factory.mktemp("scalpel")
    scene = scenes.build(folder)
    recipe = recipe_text(scene.base, scene.donor, f'layers: "1, 3", diagnosis: "{scene.diagnosis}", rank: 4')
    recipe = recipe.replace("sae_stethoscope", "sae_scalpel")
    run_recipe(recipe, "recipe.yml", folder / "cut", options={"quiet": True})
    return folder / "cut"


@pytest.fixture(scope="session")
def by_mergekit(tmp_path_factory) -> Callable[..., Path]:
    """Run a recipe through mergekit-yaml's own function, into a new folder."""
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    from sae_merge_method.hosts.register import register_merge_methods

    register_merge_methods()

    def run(source: str) -> Path:
        out = tmp_path_factory.mktemp("plain") / "out"
        config = MergeConfiguration.model_validate(yaml.safe_load(source))
        run_merge(config, str(out), MergeOptions(quiet=True), config_source=source)
        return out

    return run


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
    return {violation.where: violation.what for violation in verify(folder, **where).violated}  # type: ignore[arg-type]
