"""A recipe's request, in the form in which reports keep it and audits hold it against them."""

from collections.abc import Sequence
from hashlib import sha256

from sae_merge_method.artifacts.edit_report import DonorWeights, EditRequest, FilteredWeight, LayerWeights
from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.recipe.plan import Donation, donations_of


def request_of(recipe: Recipe, text: str, layers: Sequence[int], n_layers: int) -> EditRequest:
    """Resolve what a recipe asks for; layers with the same donors and weights stand together.

    Args:
        recipe: Read and checked by itself.
        text: What it was read from.
        layers: The open layers.
        n_layers: Decoder layers of the base.

    Raises:
        RecipeError: See :func:`~sae_merge_method.recipe.plan.donations_of`.
    """
    groups: dict[tuple[Donation, ...], list[int]] = {}
    for layer, gifts in sorted(donations_of(recipe, layers, n_layers).items()):
        groups.setdefault(gifts, []).append(layer)
    return EditRequest(
        recipe_sha256=sha256(text.encode()).hexdigest(),
        parameters=recipe.method_parameters,
        weights=tuple(
            LayerWeights(layers=tuple(members), donors=tuple(map(_weights, gifts)))
            for gifts, members in groups.items()
        ),
    )


def _weights(gift: Donation) -> DonorWeights:
    return DonorWeights(
        model=gift.model,
        weights=tuple(FilteredWeight(filter=part, weight=alpha) for part, alpha in gift.weights),
    )
