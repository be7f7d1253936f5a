"""Layers are a curve, not a sample: what two profiles, or a pick of layers, show beyond smoothness.

Scores and gains change little from a layer to the next (on a model of 30 layers, lag-1 autocorrelation .9).
So two profiles that have nothing to do with each other rank alike, or the other way round, far more often
than lists of independent numbers, and a pick of neighbours gains as its neighbourhood does. The nulls here
keep that smoothness. What a profile is of, and which sets are a fair match for a pick, is for the caller.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sae_merge_method.statistics.losses import upper_p
from sae_merge_method.statistics.permutation import upper_tail

Floats = NDArray[np.float64]


class CurveCorrelation(NamedTuple):
    """How alike two profiles over the same layers rank."""

    n: int
    """Layers."""
    rho: float | None
    """Spearman's, or the partial one; None where either side does not vary, given the rest."""
    p: float | None
    """Two-sided, among shifted and mirrored profiles; None where there is no rho."""


def least_curve_p(n: int) -> float:
    """The smallest p that ``curve_correlation`` can give over ``n`` layers: there are 2n images."""
    return 1 / (2 * n)


def curve_correlation(
    one: Sequence[float], other: Sequence[float], given: Sequence[Sequence[float]] = ()
) -> CurveCorrelation | None:
    """Spearman's rho of two profiles, or their partial rank correlation, and its p; None below three layers.

    The null turns one profile round in a circle, and its mirror image too: each of the 2n images is as smooth
    as the profile, and stands nowhere in particular over the other. p is the share of images, the profile
    itself among them, whose rho is as far from 0 (Lotwick & Silverman 1982; Harris 2020, arXiv 2012.06862):
    no less than 1/(2n).

    The partial correlation is of what is left of both sides' ranks after least squares on ``given``, anew for
    every image (Kendall 1942; Conover 1999, section 5.4).

    Args:
        one: n numbers, in the order of the layers.
        other: As many.
        given: What is held fixed: columns of as many numbers. A constant is always among them.
    """
    n = len(one)
    if n < 3:
        return None  # two layers rank alike or the other way round, whatever they are
    from scipy.stats import rankdata

    first, second = (np.asarray(rankdata(side), dtype=np.float64) for side in (one, other))
    fixed = np.column_stack([np.ones(n), *(_scaled(column) for column in given)])
    images = _without(fixed, _images(first))
    left = _without(fixed, second[None])[0]
    lengths = np.linalg.norm(images, axis=1)
    if min(lengths[0], np.linalg.norm(left)) < _NOTHING * n:  # nothing varies beside what is held fixed
        return CurveCorrelation(n, None, None)
    # An image that is left with nothing has no correlation, and is not as far from 0.
    rhos = images @ left / np.maximum(lengths, _NOTHING * n) / np.linalg.norm(left)
    as_far = int((np.abs(rhos) >= abs(rhos[0]) - _TIE).sum())
    return CurveCorrelation(n, float(rhos[0]), as_far / len(rhos))


_NOTHING = 1e-9
"""Of a rank: what least squares leave of a side that they explain whole."""
_TIE = 1e-12
"""Two images with the same rho in other floating-point digits."""


def depth_terms(depths: ArrayLike) -> list[list[float]]:
    """Depth and its square, to be held fixed: what depends on depth alone is a rise, a fall or an arch.

    Args:
        depths: (n,) the layers' numbers.
    """
    values = np.asarray(depths, dtype=np.float64)
    centred = values - values.mean()
    return [centred.tolist(), (centred**2).tolist()]


def _images(profile: Floats) -> Floats:
    """(2n, n): the profile turned by 0 to n - 1 layers, then its mirror image by as many."""
    shifted = np.array([np.roll(profile, by) for by in range(len(profile))])
    return np.concatenate([shifted, shifted[:, ::-1]])


def _scaled(column: Sequence[float]) -> Floats:
    values: Floats = np.asarray(column, dtype=np.float64)
    return values / float(np.abs(values).max() or 1.0)


def _without(fixed: Floats, rows: Floats) -> Floats:
    """What least squares on the columns of ``fixed`` leave of each row."""
    left, sizes, _ = np.linalg.svd(fixed, full_matrices=False)
    basis = left[:, sizes > sizes[0] * 1e-10]  # a column that says what the others say holds nothing more
    left_over: Floats = rows - (rows @ basis) @ basis.T
    return left_over


FEWEST_SETS = 5
"""Sets below which their spread says too little of what another set would gain."""


class OverOthers(NamedTuple):
    """One value over others of its kind."""

    others: int
    at_least: int
    """Of the others, how many are as large as the value, or larger."""
    rank_p: float
    """One-sided and exact where the value is as likely as any other to stand anywhere among them."""
    mean: float
    """Of the others."""
    difference: float
    """The value less that mean."""
    low: float | None
    """Where ``difference`` lies, at the level; None where the others are fewer than FEWEST_SETS or alike."""
    high: float | None
    t: float | None
    p: float | None
    """Two-sided p of t."""


def excess(value: float, others: Sequence[float], level: float) -> OverOthers:
    """Whether a value is more than one more draw of the others would be.

    ``t = (value - mean) / (s sqrt(1 + 1/n))`` with n - 1 degrees of freedom: Student's prediction interval
    (Hahn & Meeker 1991) turned into a test, which takes the others to be near normal, as sums over several
    layers are. The rank beside it assumes nothing, but its p is never below 1/(n + 1).

    Args:
        value: Of the pick.
        others: Of sets that might as well have been picked; at least one.
        level: Of the interval, for example 0.95.
    """
    from scipy.special import stdtrit

    drawn = np.asarray(others, dtype=np.float64)
    n, mean = len(drawn), float(drawn.mean())
    tail, difference = upper_tail(value, drawn), value - mean
    known = (n, tail.at_least, tail.p, mean, difference)
    spread = float(drawn.std(ddof=1)) if n >= FEWEST_SETS else 0.0
    if spread <= _ROUNDING * max(abs(mean), abs(difference)):
        return OverOthers(*known, None, None, None, None)
    error = spread * (1 + 1 / n) ** 0.5
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * error
    t = difference / error
    return OverOthers(*known, difference - half, difference + half, t, min(1.0, 2 * upper_p(abs(t), n - 1)))


_ROUNDING = 1e-9
