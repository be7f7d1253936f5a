"""The models a recipe names, wherever its form puts them."""

from collections.abc import Iterator

from sae_merge_method.artifacts.recipe import Module, Recipe


def donors_of(recipe: Recipe) -> tuple[str, ...]:
    """Every model beside the base, in the order of its first mention."""
    return tuple(dict.fromkeys(name for name in _named(recipe) if name != recipe.base_model))


def models_of(recipe: Recipe) -> tuple[str, ...]:
    """The base, then every other model."""
    return recipe.base_model, *donors_of(recipe)


def _named(recipe: Recipe) -> Iterator[str]:
    parts: list[Recipe | Module] = [recipe, *(recipe.modules or {}).values()]
    for part in parts:
        for source in part.models or ():
            yield source.model
        for run in part.slices or ():
            for member in run.sources:
                yield member.model
