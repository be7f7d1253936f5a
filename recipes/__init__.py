"""Ready-made recipes, and the way to find them once installed."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sae_merge_method.errors import UsageError


@dataclass(frozen=True)
class ReadyRecipe:
    """One recipe that comes with the package."""

    name: str
    summary: str
    """Its first comment line."""
    text: str


def ready_recipes() -> tuple[ReadyRecipe, ...]:
    """All ready-made recipes, by name."""
    found = []
    for entry in files(__name__).iterdir():
        if entry.name.endswith(".yml"):
            text = entry.read_text(encoding="utf-8")
            found.append(ReadyRecipe(Path(entry.name).stem, text.partition("\n")[0].lstrip("# "), text))
    return tuple(sorted(found, key=lambda recipe: recipe.name))


def ready_recipe(name: str) -> ReadyRecipe:
    """The ready-made recipe of that name.

    Raises:
        UsageError: There is none; the message lists the names.
    """
    recipes = {recipe.name: recipe for recipe in ready_recipes()}
    if name not in recipes:
        raise UsageError(f"no ready-made recipe {name!r}: expected one of {', '.join(recipes)}")
    return recipes[name]
