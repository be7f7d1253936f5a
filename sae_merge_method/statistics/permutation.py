"""What chance alone would give: a p from shuffles, and Spearman's rho with a permutation test."""

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from sae_merge_method.artifacts.experiment import RankCorrelation

_MOST_ORDERS = 50_000
"""Up to 8 layers have fewer orders than that: all are tried, and p is exact."""
_DRAWS = 49_999
_TIE = 1e-12
"""Two orders with the same rho in other floating-point digits."""


def one_sided_p(observed: float, shuffled: NDArray[np.float64]) -> float:
    """Share of shuffles at least as high, the observed value counted among them: never 0.

    ``(1 + shuffles at least as high) / (1 + shuffles)`` (Phipson & Smyth 2010).
    """
    # A shuffle that repeats the true labels must count although its sum was rounded otherwise.
    slack = 1e-9 * abs(observed)
    return (1 + int((shuffled >= observed - slack).sum())) / (1 + len(shuffled))


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> RankCorrelation | None:
    """Spearman's rho (1904) and its two-sided p; None for fewer than three pairs.

    The p is a permutation test's: twice the share of the smaller tail, over all orders of one side
    where they are few enough, else over orders drawn with a fixed seed, the one at hand counted among
    them (Phipson & Smyth 2010). Ties get their mean rank.
    """
    from scipy.stats import rankdata

    n = len(one)
    if n < 3:
        return None
    x, y = (np.asarray(rankdata(side), dtype=np.float64) - (n + 1) / 2 for side in (one, other))
    spread = math.sqrt(float(x @ x) * float(y @ y))
    if spread == 0:  # one side does not vary
        return RankCorrelation(layers=n, rho=None, p=None)
    rho = float(x @ y) / spread
    exact = math.factorial(n) <= _MOST_ORDERS
    drawn = (_all_orders(y) if exact else _drawn_orders(y)) @ x / spread
    tails = (int(np.sum(drawn >= rho - _TIE)), int(np.sum(drawn <= rho + _TIE)))
    of_drawn = 0 if exact else 1
    p = min(1.0, 2 * (min(tails) + of_drawn) / (len(drawn) + of_drawn))
    return RankCorrelation(layers=n, rho=rho, p=p)


def _all_orders(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array(list(permutations(values)), dtype=np.float64)


def _drawn_orders(values: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.tile(values, (_DRAWS, 1))
    return np.random.default_rng(0).permuted(rows, axis=1)
