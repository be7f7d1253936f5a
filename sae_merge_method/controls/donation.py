"""The one donor of a recipe that controls are made for, and its weights, which serve in every layer."""

from sae_merge_method.errors import RecipeError
from sae_merge_method.recipe.plan import Donation
from sae_merge_method.recipe.resolved import ResolvedRecipe


def the_donation(recipe: ResolvedRecipe) -> Donation:
    """Who gives to every selected layer, and with which weights.

    Raises:
        RecipeError: There are several donors, or weights that differ from layer to layer.
    """
    donations = set(recipe.plan.donations.values())
    if len(donations) != 1 or len(next(iter(donations))) != 1:
        raise RecipeError(
            f"{recipe.where}: controls need one donor with the same weight in every selected layer; the "
            f"recipe has {len(recipe.plan.donors)} donors and {len(donations)} different weights"
        )
    donation = next(iter(donations))[0]
    _require_even(donation, recipe)
    return donation


def _require_even(donation: Donation, recipe: ResolvedRecipe) -> None:
    """A filter may name parts of layers, not layers: other layers are injected with these weights, too."""
    first: dict[str, tuple[int, float]] = {}
    for key, entry in sorted(recipe.base.layer_tensors.items()):
        alpha = donation.alpha(entry.name)
        layer, other = first.setdefault(key.part, (key.layer, alpha))
        if alpha != other:
            raise RecipeError(
                f"{recipe.where}: controls need the same weight in every layer, also in those that are not "
                f"selected; by the filters of weight, {key.part} has {other:g} in layer {layer}, {alpha:g} "
                f"in layer {key.layer}"
            )
