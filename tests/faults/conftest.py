"""A finished merge with all it was made of, and what must be found there after trouble."""

from pathlib import Path

import pytest

from tests import tiny
from tests.recipes import recipe_text, run_recipe

State = dict[str, bytes]


def state(folder: Path) -> State:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A base, a donor, two recipes, and a finished merge in ``out``."""
    tiny.gemma3_text(tmp_path / "base", 0, shards=2)
    tiny.gemma3_text(tmp_path / "donor", 1, shards=2)
    (tmp_path / "recipe.yml").write_text(recipe_text(Path("./base"), Path("./donor")))
    run_recipe(recipe_text(tmp_path / "base", tmp_path / "donor", 'layers: "0"'), tmp_path / "out")
    return tmp_path


KEPT = ["base", "donor", "out", "recipe.yml"]
