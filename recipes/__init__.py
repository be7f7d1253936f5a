"""Ready-made recipes, and configurations of other commands, and the way to find them once installed."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.errors import UsageError

if TYPE_CHECKING:
    from importlib.abc import Traversable  # elsewhere from Python 3.14 on


@dataclass(frozen=True)
class ReadyRecipe:
    """One recipe that comes with the package."""

    name: str
    summary: str
    """Its first comment line."""
    text: str

    @property
    def file_name(self) -> str:
        """What its copy is called: ``diagnose/x`` becomes ``diagnose-x.yml``."""
        return f"{self.name.replace('/', '-')}.yml"


def ready_recipes() -> tuple[ReadyRecipe, ...]:
    """All ready-made mergekit recipes, by name."""
    return _in_folder(files(__name__), "")


def ready_configurations() -> tuple[ReadyRecipe, ...]:
    """All files for ``diagnose --config`` and ``experiment run``, as ``diagnose/name``, by name."""
    folders = ("diagnose", "experiment")
    return tuple(one for folder in folders for one in _in_folder(files(__name__) / folder, f"{folder}/"))


def ready_recipe(name: str) -> ReadyRecipe:
    """The ready-made recipe or configuration of that name.

    Raises:
        UsageError: There is none; the message lists the names.
    """
    recipes = {recipe.name: recipe for recipe in (*ready_recipes(), *ready_configurations())}
    if name not in recipes:
        raise UsageError(f"no ready-made recipe {name!r}: expected one of {', '.join(recipes)}")
    return recipes[name]


def _in_folder(folder: "Traversable", prefix: str) -> tuple[ReadyRecipe, ...]:
    found = []
    for entry in folder.iterdir():
        if entry.name.endswith(".yml"):
            text = entry.read_text(encoding="utf-8")
            summary = text.partition("\n")[0].lstrip("# ")
            found.append(ReadyRecipe(prefix + Path(entry.name).stem, summary, text))
    return tuple(sorted(found, key=lambda recipe: recipe.name))
