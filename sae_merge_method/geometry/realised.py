"""What an edit was to add, and what the values that are stored hold of it.

Pure sums over pieces of tensors; where they come from, and how they are rounded, is for others.
"""

from typing import NamedTuple

import numpy as np

from sae_merge_method.models.dtypes import Floats


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

    def plus(self, other: "EditSums") -> "EditSums":
        """Over the values of both."""
        return EditSums(
            self.intended + other.intended,
            self.realised + other.realised,
            self.along + other.along,
            self.changed + other.changed,
            self.values + other.values,
        )


def edit_sums(before: Floats, tau: Floats, after: Floats, spare: Floats) -> EditSums:
    """Measure an edit; numpy sums pairwise: float32 keeps six digits and more.

    Args:
        before: The base's values, float32 or float64.
        tau: Alike; what was to be added.
        after: Alike; what was written. Its memory is used.
        spare: Memory to work in, alike.

    Returns:
        The sums, without the number of values.
    """
    with np.errstate(over="ignore", under="ignore"):
        moved = np.subtract(after, before, out=after)
        changed = int(np.count_nonzero(moved))
        realised = float(np.multiply(moved, moved, out=spare).sum())
        along = float(np.multiply(moved, tau, out=spare).sum())
        intended = float(np.multiply(tau, tau, out=spare).sum())
    if before.dtype == np.float64 or np.isfinite(intended + realised):
        return EditSums(intended, realised, along, changed)
    wide = before.astype(np.float64)
    edited = wide + moved.astype(np.float64)
    return edit_sums(wide, tau.astype(np.float64), edited, np.empty_like(wide))
