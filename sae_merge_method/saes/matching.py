"""Other features like the selected ones: what they keep is what any features of the same SAE would.

A dictionary's directions crowd where the residual stream has its energy, and so do task vectors. So any of
its features keep more than a random subspace does, and the more, the more often they fire. NumPy only.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_usage import LayerUsage

_WINDOW = 16
"""As many of the nearest features on either side are as good a match."""


def firing_rates(usage: LayerUsage) -> npt.NDArray[np.float64]:
    """(F,) the share of all counted tokens on which each feature fired.

    Args:
        usage: The layer's stored usage, N documents x F features.
    """
    fired = np.bincount(
        usage.indices.astype(np.int64), weights=usage.counts.astype(np.float64), minlength=usage.d_sae
    )
    rates: npt.NDArray[np.float64] = fired / max(1, int(usage.tokens.sum()))
    return rates


def draw_alike(
    measure: npt.NDArray[np.float64], selected: Sequence[int], generator: np.random.Generator
) -> tuple[int, ...] | None:
    """As many other features, each drawn near one of the selected; None where there are not enough.

    Args:
        measure: (F,) what they are to be alike in.
        selected: The features they stand for, each once; none of them is drawn.
        generator: Decides among those that are as near.
    """
    others = np.setdiff1d(np.arange(len(measure)), selected)
    if len(others) < len(selected):
        return None
    # Ties in random order: of features that never fire, no index is nearer than another.
    ranked = others[np.lexsort((generator.random(len(others)), measure[others]))]
    ranks = np.searchsorted(measure[ranked], measure[list(selected)])
    free = np.ones(len(ranked), dtype=bool)
    drawn = []
    for rank in generator.permutation(ranks):
        reach = _WINDOW
        while not len(near := np.flatnonzero(free[max(0, rank - reach) : rank + reach])):
            reach *= 2
        chosen = max(0, rank - reach) + int(generator.choice(near))
        free[chosen] = False
        drawn.append(int(ranked[chosen]))
    return tuple(drawn)
