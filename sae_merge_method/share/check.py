"""Check a recipe before anything large is fetched, and pin it: the first thing to do with a shared one."""

from collections.abc import Mapping
from dataclasses import dataclass

from sae_merge_method.artifacts.recipe import Recipe, parse_recipe
from sae_merge_method.model_ids import parse_model_id
from sae_merge_method.share.findings import Findings
from sae_merge_method.share.fit import check_fit
from sae_merge_method.share.pinning import pin
from sae_merge_method.share.recipe_models import models_of
from sae_merge_method.share.sizes import Located, locate


@dataclass(frozen=True)
class CheckedRecipe:
    """A recipe, where its models are, and whether it all fits."""

    recipe: Recipe
    models: Mapping[str, tuple[Located, ...]]
    """By the recipe's names: the model, and its adapter where it has one."""
    findings: Findings
    pinned: str
    """The recipe's text with every Hub model at a commit."""

    @property
    def missing(self) -> int:
        """Bytes to download."""
        places = {place.name: place for found in self.models.values() for place in found}
        return sum(place.missing for place in places.values())


def check_recipe(text: str, where: str) -> CheckedRecipe:
    """Resolve every model of a recipe, and check that its parts belong together.

    Args:
        text: YAML.
        where: How messages name it.

    Raises:
        RecipeError: It cannot be read; what is wrong beyond that is in ``findings``.
    """
    recipe, findings = parse_recipe(text, where), Findings()
    models: dict[str, tuple[Located, ...]] = {}
    for name in models_of(recipe):
        with findings.of(name):
            models[name] = _locate(name)
    check_fit(recipe, {name: found[0] for name, found in models.items()}, findings)
    commits = {place.name: place.commit for found in models.values() for place in found if place.commit}
    return CheckedRecipe(recipe, models, findings, pin(text, commits))


def _locate(name: str) -> tuple[Located, ...]:
    model = parse_model_id(name)
    found = [locate(model.path, model.revision)]
    if model.lora:
        adapter, _, revision = model.lora.partition("@")
        found.append(locate(adapter, revision or None))
    return tuple(found)
