"""A base of two shards with a card of its own, edited in place."""

from pathlib import Path

from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.merge.in_place import edit_in_place
from tests import tiny

State = dict[str, bytes]


def state(folder: Path) -> State:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit(recipe: str, folder: Path | None = None, **given: bool) -> EditReport:
    return edit_in_place(RecipeText(recipe, "recipe.yml"), folder, options={"quiet": True}, **given)


def sharded_base(tmp_path: Path) -> Path:
    folder = tiny.gemma3_text(tmp_path / "base", 0, shards=2)
    (folder / "README.md").write_text("the base's own card\n")
    return folder
