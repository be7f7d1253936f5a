"""A recipe's request, in the form in which reports keep it and audits hold it against them."""

from hashlib import sha256

from sae_merge_method.artifacts.edit_report import DonorWeights, EditRequest, FilteredWeight, LayerWeights
from sae_merge_method.layers import Unit, layer_of
from sae_merge_method.models.hub import parse_model_id
from sae_merge_method.recipe.methods import written_parameters
from sae_merge_method.recipe.plan import Donation, donations_of
from sae_merge_method.recipe.precision import rounding_of, written_rounding
from sae_merge_method.recipe.resolved import ResolvedRecipe


def request_of(resolved: ResolvedRecipe, lora_merge_dtype: str | None = None) -> EditRequest:
    """What a recipe asks for; what has the same donors and weights stands together.

    Args:
        resolved: The recipe.
        lora_merge_dtype: What adapters are rounded to as they are merged, by the user; None for the default.

    Raises:
        RecipeError: See :func:`~sae_merge_method.recipe.plan.donations_of`.
    """
    shared = resolved.recipe.parameters
    groups: dict[tuple[Donation, ...], list[Unit]] = {}
    donations = donations_of(resolved.recipe, resolved.layers, resolved.base.n_layers)
    givers = {donation.model for given in donations.values() for donation in given}
    adapted = lora_merge_dtype is not None and any(parse_model_id(one).adapter is not None for one in givers)
    for unit in resolved.layers:
        groups.setdefault(donations[layer_of(unit)], []).append(unit)
    return EditRequest(
        recipe_sha256=sha256(resolved.text.encode()).hexdigest(),
        parameters=written_parameters(resolved.recipe) | written_rounding(rounding_of(shared)),
        weights=tuple(
            LayerWeights(layers=tuple(members), donors=tuple(map(_weights, donors)))
            for donors, members in groups.items()
        ),
        lora_merge_dtype=lora_merge_dtype if adapted else None,
    )


def _weights(donation: Donation) -> DonorWeights:
    return DonorWeights(
        model=donation.model,
        weights=tuple(FilteredWeight(filter=part, weight=alpha) for part, alpha in donation.weights),
    )
