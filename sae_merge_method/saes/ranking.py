"""Which features of a layer prefer the target text most, from the usage a diagnosis stored.

NumPy only, so that a merge can rank features without any model. The measure is that of the
layer score ``selectivity``: a feature's share of target usage times (m_T - m_C) / (m_T + m_C).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import Documents


class Ranking(NamedTuple):
    """A layer's features, most selective for the target first."""

    features: npt.NDArray[np.int64]
    """(F,) all features; ties go to the lower index, so features never used stand in index order."""
    selectivity: npt.NDArray[np.float64]
    """(F,) of each, descending: positive where the target uses it more, 0 where nobody does."""


def rank_features(usage: LayerUsage, documents: Documents) -> Ranking:
    """Order one layer's features by their contribution to its selectivity.

    Args:
        usage: The layer's stored usage, N documents x F features.
        documents: Which side each document is on; all controls count as one.
    """
    target = usage.mean_over(documents.is_target)
    control = usage.mean_over(~documents.is_target)
    both = target + control
    used = both > 0
    contribution = np.zeros(usage.d_sae)
    mass = target.sum() or 1.0
    contribution[used] = target[used] / mass * (target[used] - control[used]) / both[used]
    # What only the control uses contributes 0, yet must not stand among the unused.
    contribution[used & (target == 0)] = -np.finfo(np.float64).tiny
    order = np.argsort(-contribution, kind="stable")
    return Ranking(order, contribution[order])


def default_rank(d: int) -> int:
    """Features a layer where nobody says: one for every 40 dimensions, 64 at d = 2560.

    Ours: with it a subspace keeps by chance about as little as the paper's projection kept.
    """
    return max(1, round(d / 40))
