"""The models a recipe names, and the same recipe with each pinned to a revision."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import yaml

from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.artifacts.recipe_models import Module
from sae_merge_method.errors import RecipeError, UsageError
from sae_merge_method.models.hub import is_same_model, parse_model_id


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


def refuse_twice(models: Sequence[str]) -> None:
    """Make sure that each of some sources is another model, in whatever spelling.

    Raises:
        RecipeError: One is named twice: its edit would be added twice.
    """
    for model, other in combinations(models, 2):
        if model == other:
            raise RecipeError(f"{model} is named twice among the same sources")
        if _are_one(model, other):
            raise RecipeError(f"{model} and {other} are one model, named twice among the same sources")


def _are_one(model: str, other: str) -> bool:
    """Whether two names are of one model; of a model on the Hub two revisions are two."""
    try:
        named = [[part.revision for part in parse_model_id(name).parts] for name in (model, other)]
        return named[0] == named[1] and is_same_model(model, other)
    except UsageError:  # a folder of another machine: who opens it says what is wrong
        return False


_KEYS = ("base_model", "model")
_PLAIN = re.compile(r"[\w./~][\w./@+-]*", re.ASCII)
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")  # an anchor or a tag before a value
_LISTS = ("models", "slices", "sources", "modules")


def pin(text: str, commits: Mapping[str, str]) -> str:
    """The same recipe with every model at its commit.

    Args:
        text: A recipe that was read without errors.
        commits: Commit by model (or adapter) as the recipe names it, without a revision; models
            that are not here, such as folders, stay as they are.
    """
    return _with_models(text, lambda written: _pinned(written, commits))


def rename(text: str, names: Mapping[str, str]) -> str:
    """The same recipe with other models in place of some.

    Args:
        text: A recipe that was read without errors.
        names: New name by the one that is written.
    """
    return _with_models(text, lambda written: names.get(written, written))


def _with_models(text: str, change: Callable[[str], str]) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    spans = {(node.start_mark.index, node.end_mark.index): node for node in _models(root)}
    for (first, last), node in sorted(spans.items(), key=lambda item: item[0], reverse=True):
        changed = change(node.value)
        if changed != node.value:
            # JSON's quoting is YAML's double quoting, and needed only for unusual names.
            plain = node.style is None and _PLAIN.fullmatch(changed)
            kept = _PROPERTIES.match(text[first:last])
            assert kept is not None  # it matches nothing at all, too
            text = text[:first] + kept[0] + (changed if plain else json.dumps(changed)) + text[last:]
    return text


def _pinned(written: str, commits: Mapping[str, str]) -> str:
    parts = parse_model_id(written).parts
    return "+".join(str(replace(part, revision=commits.get(part.path, part.revision))) for part in parts)


def _models(node: yaml.Node | None, key: str = "") -> Iterator[yaml.ScalarNode]:
    """The scalars that name models, where a recipe can have them."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value in _KEYS and isinstance(value, yaml.ScalarNode):
                yield value
            elif name.value in _LISTS or key == "modules":
                yield from _models(value, name.value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _models(item)
