"""How far a score of layers would be off on other documents: the jackknife over groups of sources.

``variance = (n - 1) / n sum (score without group i - their mean)^2``, summed over the texts (Efron & Stein
1981); an interval and a p by Student's t with one degree of freedom less than the fewest groups of a text.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.statistics.intervals import LEVEL

Floats = npt.NDArray[np.float64]
Kept = npt.NDArray[np.bool_]
Score = Callable[[Sequence[Kept]], Floats]
"""From the groups that are kept, by text, to (L,) scores."""


class Spread(NamedTuple):
    """How a score of L layers varies with its documents."""

    half_width: Floats
    """(L,) half of each layer's interval."""
    p: Floats
    """(L,) two-sided p of the layer's distance from the mean of all layers; NaN where documents do not vary
    it."""


def jackknife(score: Score, groups: Sequence[int]) -> Spread | None:
    """Leave out one group of one text after another; None where a text has a single group.

    Args:
        score: Of the groups that are kept.
        groups: Number of groups of each text.
    """
    from scipy.special import stdtr, stdtrit

    if min(groups) < 2:
        return None
    whole = [np.ones(n, dtype=np.bool_) for n in groups]
    values, freedom = score(whole), min(groups) - 1
    of_layers, of_distances = np.zeros_like(values), np.zeros_like(values)
    for nth, n in enumerate(groups):
        without = np.array(
            [score([*whole[:nth], np.arange(n) != group, *whole[nth + 1 :]]) for group in range(n)]
        )
        of_layers += _variance(without)
        of_distances += _variance(without - without.mean(axis=1, keepdims=True))
    distance, error = values - values.mean(), np.sqrt(of_distances)
    t = np.divide(distance, error, out=np.full_like(values, np.nan), where=error > _NOTHING * np.abs(values))
    half = float(stdtrit(freedom, 0.5 + LEVEL / 2)) * np.sqrt(of_layers)
    return Spread(half, np.asarray(2 * stdtr(freedom, -np.abs(t))))


_NOTHING = 1e-12
"""Of a score: what rounding leaves of a variance that is none."""


def _variance(without: Floats) -> Floats:
    """(L,) from (n, L) scores, each without one group."""
    n = len(without)
    total: Floats = (n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(0)
    return total
