"""Which features span a layer's subspace: written out in the recipe, or ranked from a diagnosis."""

import logging
from collections.abc import Iterable
from pathlib import Path

from sae_merge_method.artifacts.diagnosis import diagnosis_path
from sae_merge_method.artifacts.usage import UsageReader
from sae_merge_method.errors import RecipeError, SaeError, UsageError
from sae_merge_method.feature_ranking import rank_features
from sae_merge_method.layers import format_layers, parse_layers

LOG = logging.getLogger(__name__)


def parse_features(text: str, layers: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """Read ``"9: 3, 17, 100-110; 11: 4"``, or ``"3, 17"`` where only one layer is concerned.

    Args:
        text: Features as the recipe writes them.
        layers: The layers that need features.

    Raises:
        RecipeError: Malformed, a layer without features, or features of a layer that needs none.
    """
    needed = sorted(set(layers))
    parts = text.split(";")
    if len(parts) == 1 and ":" not in text:
        if len(needed) != 1:
            raise RecipeError(
                f"features: {text!r} does not say of which layer: expected "
                f'"{needed[0]}: 3, 17; {needed[-1]}: 4" for layers {format_layers(needed)}'
            )
        parts = [f"{needed[0]}: {text}"]
    found: dict[int, tuple[int, ...]] = {}
    for part in parts:
        name, colon, listed = part.partition(":")
        try:
            (layer,) = parse_layers(name)
            if not colon or layer in found:
                raise ValueError
            found[layer] = parse_layers(listed)
        except (UsageError, ValueError):
            raise RecipeError(
                f'features: expected "9: 3, 17, 100-110; 11: 4", each layer once, got {part.strip()!r} '
                f"in {text!r}"
            ) from None
    if sorted(found) != needed:
        raise RecipeError(
            f"features: expected features for layers {format_layers(needed)}, got {format_layers(found)}"
        )
    return found


def ranked_features(diagnosis: str, layer: int, count: int) -> tuple[int, ...]:
    """The ``count`` features of a layer that are most selective for the target.

    Args:
        diagnosis: Diagnosis file or folder, relative to the working folder.
        layer: Which layer.
        count: How many.

    Raises:
        ArtifactError: No feature usage beside the diagnosis, or none of this layer.
        SaeError: The layer's SAE has fewer features.
    """
    usage = UsageReader(diagnosis_path(Path(diagnosis)).parent)
    ranking = rank_features(usage.layer(layer), usage.documents)
    if count > len(ranking.features):
        raise SaeError(
            f"rank: {count} asks for more features than the SAE of layer {layer} has "
            f"({len(ranking.features)})"
        )
    unselective = int((ranking.selectivity[:count] <= 0).sum())
    if unselective:
        LOG.warning(
            "layer %d: only %d features prefer the target text; %d of the %d chosen do not",
            layer, count - unselective, unselective, count,
        )  # fmt: skip
    return tuple(int(feature) for feature in ranking.features[:count])
