"""Whether a number stands out among what chance gives: permutation p-values and rank correlation."""

import math
from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Tail(NamedTuple):
    """Where a value stands among draws from its null."""

    at_least: int
    """Draws that are as large as the value, or larger."""
    draws: int
    p: float
    """One-sided, above 0: the value itself is counted among the draws."""


def upper_tail(value: float, draws: ArrayLike) -> Tail:
    """``p = (1 + draws as large) / (1 + draws)`` (Phipson & Smyth 2010).

    Counting the value as one of the draws makes p exact where the draws are all as likely as the value, and
    never 0. What differs from the value by rounding alone, one part in 1e9, is as large.

    Args:
        value: The statistic as it was measured.
        draws: (R,) the statistic under the null; R may be 0, then p is 1.
    """
    drawn = np.asarray(draws, dtype=np.float64)
    at_least = int((drawn >= value - _ROUNDING * abs(value)).sum())
    return Tail(at_least, len(drawn), (1 + at_least) / (1 + len(drawn)))


class RankCorrelation(NamedTuple):
    """How alike two lists of numbers rank."""

    n: int
    """Pairs."""
    rho: float | None
    """Spearman's; None where either side does not vary."""
    p: float | None
    """Two-sided, by permutation; None where there is no rho."""


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> RankCorrelation | None:
    """Spearman's rho (1904) and its two-sided p; None for fewer than three pairs.

    The p is a permutation test's: twice the share of the smaller tail, over all orders of one side where they
    are few enough, else over orders drawn with a fixed seed, the one at hand counted among them (Phipson &
    Smyth 2010). Ties get their mean rank. All orders at once are one matrix product, where
    ``scipy.stats.permutation_test`` ranks every order anew.

    Args:
        one: n numbers.
        other: As many.
    """
    n = len(one)
    if n < 3:
        return None  # two pairs rank alike or the other way round, whatever they are
    from scipy.stats import rankdata

    x, y = (np.asarray(rankdata(side), dtype=np.float64) - (n + 1) / 2 for side in (one, other))
    spread = math.sqrt(float(x @ x) * float(y @ y))
    if spread == 0:  # one side does not vary: there is no rho to speak of
        return RankCorrelation(n, None, None)
    rho = float(x @ y) / spread
    exact = math.factorial(n) <= _MOST_ORDERS
    drawn = (_all_orders(y) if exact else _drawn_orders(y)) @ x / spread
    tails = (int(np.sum(drawn >= rho - _TIE)), int(np.sum(drawn <= rho + _TIE)))
    itself = 0 if exact else 1
    return RankCorrelation(n, rho, min(1.0, 2 * (min(tails) + itself) / (len(drawn) + itself)))


_ROUNDING = 1e-9
_MOST_ORDERS = 50_000
"""Up to 8 pairs have fewer orders than that: all are tried, and p is exact."""
_DRAWS = 49_999
_TIE = 1e-12
"""Two orders with the same rho in other floating-point digits."""


def _all_orders(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array(list(permutations(values)), dtype=np.float64)


def _drawn_orders(values: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.tile(values, (_DRAWS, 1))
    return np.random.default_rng(0).permuted(rows, axis=1)
