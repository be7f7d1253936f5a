"""What an edit was to add, and what the values that are stored hold of it.

Pure sums over pieces of tensors; where they come from, and how they are rounded, is for others.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]


class EditSums(NamedTuple):
    """What an edit was to add to some values, and what of it the written ones hold; sums add up."""

    intended: float = 0.0
    """Squared norm of what was to be added, before rounding."""
    realised: float = 0.0
    """Squared norm of (written - base)."""
    along: float = 0.0
    """Inner product of the two."""
    changed: int = 0
    """Values that differ from the base's."""
    values: int = 0
    """How many values there are."""

    @property
    def share(self) -> float | None:
        """Realised over intended energy; None where nothing was to be added."""
        return self.realised / self.intended if self.intended else None

    @property
    def cosine(self) -> float | None:
        """Between what was added and what was to be; None where either is nothing."""
        if not self.intended or not self.realised:
            return None
        # Both square roots first: the product of two energies may leave the range of a float.
        return max(-1.0, min(1.0, self.along / (math.sqrt(self.realised) * math.sqrt(self.intended))))

    @property
    def component(self) -> float | None:
        """Component of what was added along what was to be, over its norm: 1 where all of it is there."""
        return self.along / self.intended if self.intended else None

    def plus(self, other: "EditSums") -> "EditSums":
        """Over the values of both."""
        return EditSums(
            self.intended + other.intended,
            self.realised + other.realised,
            self.along + other.along,
            self.changed + other.changed,
            self.values + other.values,
        )


NOTHING = EditSums()
"""Of values that are not edited."""
LEAST_ENERGY = 0.8
"""Of the intended energy. With less, an arm "at the same energy" as another is at one that nobody chose."""
LEAST_COSINE = 0.9
"""Below, more than a fifth of the energy that is stored is not the edit."""


def added_up(parts: Iterable[EditSums]) -> EditSums:
    """Over the values of all."""
    total = NOTHING
    for part in parts:
        total = total.plus(part)
    return total


def is_swallowed(
    share: float | None, cosine: float | None, component: float | None, *, unbiased: bool
) -> bool:
    """Whether rounding leaves so little of an edit that its results are not those of the edit.

    Args:
        share: Realised over intended energy; None where nothing was to be added.
        cosine: Of the two; None where nothing was added.
        component: Of what was added, along what was to be; None as ``share``.
        unbiased: Whether it was rounded so that means are kept. Energy and cosine then hold the noise of
            rounding, which an edit is not lost in: only its own component is looked at.
    """
    if share is None or component is None:
        return False
    if unbiased:
        return component < LEAST_COSINE
    return share < LEAST_ENERGY or (cosine or 0.0) < LEAST_COSINE


def edit_sums(before: Floats, tau: Floats, after: Floats, spare: Floats) -> EditSums:
    """Measure an edit. Sums keep six digits and more of float32; their last digits are the processor's own.

    Args:
        before: The base's values, flat, float32 or float64.
        tau: Alike; what was to be added.
        after: Alike; what was written.
        spare: Memory to work in, alike.

    Returns:
        The sums, without the number of values.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        moved = np.subtract(after, before, out=spare)
        changed = int(np.count_nonzero(np.not_equal(moved, 0)))
        sums = EditSums(_inner(tau, tau), _inner(moved, moved), _inner(moved, tau), changed)
    if before.dtype == np.float64 or np.isfinite(sums.intended + sums.realised):
        return sums
    wide = (each.astype(np.float64) for each in (before, tau, after, spare))
    return edit_sums(*wide)


_ROW = 4096


def _inner(one: Floats, other: Floats) -> float:
    """Inner product in one pass, without a product in between: rows in their own precision, then float64."""
    whole = one.size // _ROW * _ROW
    rows = np.vecdot(one[:whole].reshape(-1, _ROW), other[:whole].reshape(-1, _ROW))
    return float(rows.sum(dtype=np.float64)) + float(np.vecdot(one[whole:], other[whole:]))
