"""What a recipe asked of one merge, as ``edit_report.json`` records it: weights, parameters, its hash."""

from collections.abc import Mapping

from sae_merge_method.artifacts.method_parameters import Scalar
from sae_merge_method.artifacts.schema import Record


class FilteredWeight(Record):
    """One of a donor's weights."""

    filter: str | None
    """Part of a tensor's name that it is for; None for all that no filter before it took."""
    weight: float


class DonorWeights(Record):
    """One donor, as the recipe names it, and its weights in order of precedence."""

    model: str
    weights: tuple[FilteredWeight, ...]

    def __str__(self) -> str:
        return ", ".join(
            f"{one.weight:g}" + (f" for {one.filter}" if one.filter is not None else "")
            for one in self.weights
        )


class LayerWeights(Record):
    """The donors of layers that have the same."""

    layers: tuple[int, ...]
    donors: tuple[DonorWeights, ...]


class EditRequest(Record):
    """The recipe of one merge, resolved."""

    recipe_sha256: str
    """Of the recipe's text, in UTF-8: of ``mergekit_config.yml`` as it was written."""
    parameters: Mapping[str, Scalar]
    """The merge method's own, as the recipe writes them."""
    weights: tuple[LayerWeights, ...]
    """Of all open layers: gradients and filters resolved, a share of energy not yet taken."""

    def by_layer(self) -> dict[int, tuple[DonorWeights, ...]]:
        """The donors of each open layer."""
        return {layer: group.donors for group in self.weights for layer in group.layers}
