"""The arithmetic of an edit, in numpy, for the direct engine: pure functions on pieces of one tensor.

Every method of ours adds to a base tensor what it makes of the weighted sum of task vectors. The same
arithmetic in torch, for mergekit, lives in ``injection``; both give the same bits.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sae_merge_method.models.dtypes import Floats, narrow, widen


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


def inject_piece(
    base: Floats, tau: Floats, dtype: str, stored: npt.NDArray[Any], spare: Floats
) -> float | None:
    """Write ``base + tau``, rounded once to a stored type.

    Args:
        base: float32 or float64.
        tau: Alike; its memory is used.
        dtype: The stored type, by safetensors' name.
        stored: What is written to, in the type's own numpy type.
        spare: Memory to work in, like ``base``.

    Returns:
        Squared distance of what was written from ``base``; None where a value is not finite, or becomes so:
        ``stored`` is arbitrary then.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        edited = np.add(base, tau, out=tau)
    if not narrow(edited, dtype, stored, spare):
        return None
    widen(stored, dtype, edited)
    return squared_distance(base, edited, spare)


def squared_distance(before: Floats, after: Floats, spare: Floats) -> float:
    """Sum of squared differences; numpy sums pairwise: float32 keeps six digits and more.

    Args:
        before: float32 or float64.
        after: Alike; not modified.
        spare: Memory to work in, alike.
    """
    with np.errstate(over="ignore", under="ignore"):
        moved = np.subtract(after, before, out=spare)
        np.multiply(moved, moved, out=moved)
        total = float(moved.sum())
    if np.isfinite(total) or before.dtype == np.float64:
        return total
    wide = before.astype(np.float64)
    return squared_distance(wide, after.astype(np.float64), np.empty_like(wide))
