"""Whether a number stands out among what chance gives: permutation p-values."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Tail(NamedTuple):
    """Where a value stands among draws from its null."""

    at_least: int
    """Draws that are as large as the value, or larger."""
    draws: int
    p: float
    """One-sided, above 0: the value itself is counted among the draws."""


def upper_tail(value: float, draws: ArrayLike, rounding: float = 0.0) -> Tail:
    """``p = (1 + draws as large) / (1 + draws)`` (Phipson & Smyth 2010).

    Counting the value as one of the draws makes p exact where the draws are all as likely as the value, and
    never 0. What differs from the value by rounding alone, one part in 1e9 or 1e-12 about zero, is as large.

    Args:
        value: The statistic as it was measured.
        draws: (R,) the statistic under the null; R may be 0, then p is 1.
        rounding: By how much a draw may differ from the value and be as large all the same, where draws are
            made in less than float64.
    """
    drawn = np.asarray(draws, dtype=np.float64)
    at_least = int((drawn >= value - _ROUNDING * abs(value) - _ZERO - rounding).sum())
    return Tail(at_least, len(drawn), (1 + at_least) / (1 + len(drawn)))


_ROUNDING = 1e-9
_ZERO = 1e-12
"""A statistic that is exactly 0 under every label comes out as some 1e-18 either side of it."""
