"""The arithmetic of an edit, in numpy, for the direct engine: pure functions on pieces of one tensor.

Every method of ours adds to a base tensor what it makes of the weighted sum of task vectors. The same
arithmetic in torch, for mergekit, lives in ``injection``; both give the same bits.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.geometry.realised import EditSums, edit_sums
from sae_merge_method.models.dtypes import DTYPES, Floats, narrow, widen


def weighted_sum(base: Floats, donors: Sequence[Floats], alphas: Sequence[float]) -> Floats:
    """``sum_i alpha_i (donor_i - base)``, operation by operation as ``injection.inject``.

    Args:
        base: float32 or float64, any piece of a tensor.
        donors: The same piece of at least one donor; their memory is used, the first one's for the result.
        alphas: One factor a donor.
    """
    total: Floats | None = None
    # Overflow and NaN are looked for in the result: every one of the inputs' ends up there.
    with np.errstate(over="ignore", invalid="ignore"):
        for donor, alpha in zip(donors, alphas, strict=True):
            tau = np.subtract(donor, base, out=donor)
            tau *= base.dtype.type(alpha)
            total = tau if total is None else np.add(total, tau, out=total)
    assert total is not None
    return total


class Room(NamedTuple):
    """Memory to work in."""

    edited: Floats
    spare: Floats


Narrow = Callable[[Floats, str, npt.NDArray[Any], Floats], bool]
"""Rounds numbers to a stored type, as :func:`~sae_merge_method.models.dtypes.narrow` does."""


def inject_piece(
    base: Floats, tau: Floats, dtype: str, stored: npt.NDArray[Any], room: Room, to_stored: Narrow = narrow
) -> EditSums | None:
    """Write ``base + tau``, rounded once to a stored type.

    Args:
        base: float32 or float64.
        tau: Alike.
        dtype: The stored type, by safetensors' name.
        stored: What is written to, in the type's own numpy type.
        room: Memory like ``base``.
        to_stored: Rounds.

    Returns:
        What was to be added and what was, without the number of values; None where a value is not finite, or
        becomes so: ``stored`` is arbitrary then.
    """
    edited, spare = room
    with np.errstate(over="ignore", invalid="ignore"):
        np.add(base, tau, out=edited)
    if not to_stored(edited, dtype, stored, spare):
        return None
    widen(stored, dtype, edited)
    return edit_sums(base, tau, edited, spare)


def as_rounded(values: Floats, dtype: str) -> Floats:
    """Numbers as a stored type would have them, in their own memory; all infinite where one overflows."""
    stored = np.empty(values.size, DTYPES[dtype].numpy)
    if narrow(values, dtype, stored, np.empty_like(values)):
        widen(stored, dtype, values)
    else:
        values.fill(np.inf)
    return values
