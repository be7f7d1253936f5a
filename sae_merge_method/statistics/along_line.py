"""How far along the line between two points a cost, or a gain, lies, all measured with error."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.statistics.losses import FEWEST_ITEMS

LEAST_T = 4.0
"""How many standard errors the two ends' costs have to be apart. A share of a distance that may as well be 0
has no error that a normal distribution tells (Fieller 1954)."""


class AlongLine(NamedTuple):
    """How far along the line a cost lies."""

    value: float
    """0 at the cheaper end, 1 at the dearer."""
    stderr: float
    """Over documents."""
    df: int


def share_of_cost(point: Sequence[float], low: Sequence[float], high: Sequence[float]) -> AlongLine | str:
    """Where a point's cost lies between those of two ends, with its error by the delta method.

    With documents j and their amounts p, a and b under point, cheaper and dearer end, the share is the ratio
    of sums ``s = sum(p - a) / sum(b - a)``, whose variance is ``n / (n - 1) sum((p - a - s (b - a))^2) /
    sum(b - a)^2`` (Cochran 1977, section 6.4).

    Args:
        point: For every document, for example its nats under the edit.
        low: The same under the cheaper end.
        high: The same under the dearer end.

    Returns:
        The share, cut to lie between 0 and 1; or why there is none. A cost beyond an end is held against the
        end, and keeps its error: the true one may lie between the two.
    """
    return _cut(_share(point, low, low, high, "damage", "documents"))


def share_apart(
    point: Sequence[float], near: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> AlongLine | str:
    """The same of how much further along the line a point's cost lies than that of another one near it.

    Args:
        point: For every document, for example its nats under the edit.
        near: The same under the other one.
        low: The same under the cheaper end.
        high: The same under the dearer end.

    Returns:
        The share, below 0 where the point costs less than the other; or why there is none.
    """
    return _share(point, near, low, high, "damage", "documents")


def share_of_gain(point: Sequence[float], low: Sequence[float], high: Sequence[float]) -> AlongLine | str:
    """The same of gains, problem by problem: where along the line a point's gain is reached."""
    return _cut(_share(point, low, low, high, "gain", "problems"))


def _cut(share: AlongLine | str) -> AlongLine | str:
    return share if isinstance(share, str) else share._replace(value=min(1.0, max(0.0, share.value)))


def _share(
    point: Sequence[float],
    near: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    what: str,
    items: str,
) -> AlongLine | str:
    n = len(point)
    if n < FEWEST_ITEMS:
        return too_few(n, items)
    along = [end - start for start, end in zip(low, high, strict=True)]
    moved = [at - start for start, at in zip(near, point, strict=True)]
    length = math.fsum(along)
    mean = length / n
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in along) / (n - 1) * n)
    if length <= LEAST_T * spread:
        return f"the {what} of its neighbours on the curve is not told apart: more {items} would"
    value = math.fsum(moved) / length
    left = math.fsum((part - value * whole) ** 2 for part, whole in zip(moved, along, strict=True))
    return AlongLine(value, math.sqrt(n / (n - 1) * left) / length, n - 1)


def too_few(n: int, items: str = "problems") -> str:
    """Why nothing is tested."""
    return f"{n} {items}: nothing is tested with fewer than {FEWEST_ITEMS}"
