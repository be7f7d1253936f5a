"""A merge made once, to be carded, shared and rebuilt."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from sae_merge_method.merge.run import run_recipe
from tests import tiny
from tests.recipes import recipe_text


@dataclass(frozen=True)
class Merged:
    """A merged folder and what it was made of."""

    out: Path
    base: Path
    donor: Path

    def copy(self, to: Path) -> Path:
        shutil.copytree(self.out, to)
        return to

    def copy_base(self, to: Path) -> Path:
        shutil.copytree(self.base, to)
        return to


@pytest.fixture(scope="session")
def merged(tmp_path_factory) -> Merged:
    """Layers 1 and 3 at weight 0.5, by sae-merge."""
    folder = tmp_path_factory.mktemp("shared")
    base = tiny.gemma3_text(folder / "base", 0)
    donor = tiny.gemma3_text(folder / "donor", 1)
    run_recipe(recipe_text(base, donor, weight="0.5"), "recipe.yml", folder / "out", options={"quiet": True})
    return Merged(folder / "out", base, donor)


def rename_models(out: Path, base: str, donor: str) -> None:
    """Let a merged folder's recipe name other models."""
    config = out / "mergekit_config.yml"
    lines = config.read_text().splitlines()
    named = {"base_model:": f"base_model: {base}", "  - model:": f"  - model: {donor}"}
    lines = [next((new for old, new in named.items() if line.startswith(old)), line) for line in lines]
    config.write_text("\n".join(lines) + "\n")
