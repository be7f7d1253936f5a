"""How much of a score is surface: without a class of tokens, and of texts whose words or digits are
shuffled."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import Documents, Surface, SurfaceNames
from sae_merge_method.diagnose.specificity import Means, Score

if TYPE_CHECKING:
    pass


class SurfaceScores(NamedTuple):
    """One layer's score with something taken away, each the least over controls."""

    without: dict[str, float]
    """By class of tokens left out."""
    twins: dict[str, float]
    """By twin of the target."""


def score_surface(
    score: Score, usage: LayerUsage, surface: Surface, documents: Documents, names: SurfaceNames
) -> SurfaceScores:
    """Score a layer as if a class of tokens were not there, and with each twin in the target's place.

    Args:
        score: Which score. One that needs more than mean usage, or chooses features, has none of these.
        usage: What all documents use.
        surface: What is used of texts with something taken away.
        documents: Of all sides.
        names: What the axes of ``surface`` are.
    """
    if score.needs != ("usage",) or score.top_k is not None:
        return SurfaceScores({}, {})

    def least(target: npt.NDArray[np.floating], controls: npt.NDArray[np.floating]) -> float:
        return min(float(score.layer(_usage(target), _usage(control))) for control in controls)

    without, twins = surface.without.astype(np.float64), surface.twins.astype(np.float64)
    whole = np.stack([usage.mean_over(documents.side == control) for control in documents.controls])
    return SurfaceScores(
        {name: least(without[0, nth], without[1:, nth]) for nth, name in enumerate(names.classes)},
        {name: least(twins[nth], whole) for nth, name in enumerate(names.twins)},
    )


def _usage(means: npt.NDArray[np.floating]) -> Means:
    import torch

    tensor: torch.Tensor = torch.from_numpy(means)
    return {"usage": tensor}
