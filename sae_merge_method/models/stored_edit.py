"""What a stored type keeps of an edit, found by rounding it; nothing is written.

For whoever measures edits beforehand; a merge measures what it writes.
"""

import numpy as np

from sae_merge_method.geometry.realised import EditSums, added_up, edit_sums
from sae_merge_method.models.dtypes import DTYPES, Floats, widen
from sae_merge_method.models.reading import pieces
from sae_merge_method.models.rounding import Rounding


def stored_edit(base: Floats, tau: Floats, dtype: str, rounding: Rounding, name: str, first: int) -> EditSums:
    """Round ``base + tau`` to a stored type, and measure what it differs from the base by.

    Args:
        base: (n,), float32 or float64.
        tau: Alike; what is to be added. Its memory is used.
        dtype: The type, by safetensors' name.
        rounding: How it is rounded to.
        name: The tensor's, in any layout.
        first: Number of the first value within the tensor.

    Returns:
        The sums; where a value would overflow, nothing of the edit is kept.
    """
    edited, stored = base + tau, np.empty(base.size, DTYPES[dtype].numpy)
    if not rounding.narrow(edited, dtype, stored, np.empty_like(base), name, first):
        return edit_sums(base, tau, base.copy(), edited)._replace(values=base.size)
    widen(stored, dtype, edited)
    return edit_sums(base, tau, edited, np.empty_like(base))._replace(values=base.size)


def stored_tensor_edit(
    base: Floats, tau: Floats, alpha: float, dtype: str, rounding: Rounding, name: str
) -> EditSums:
    """The same of a whole tensor, a piece at a time.

    Args:
        base: Any shape, float32 or float64.
        tau: Alike; what is to be added at weight 1.
        alpha: The weight.
        dtype: The stored type, by safetensors' name.
        rounding: How it is rounded to.
        name: The tensor's, in any layout.
    """
    before, added = base.reshape(-1), tau.reshape(-1)
    return added_up(
        stored_edit(
            before[first : first + count],
            added[first : first + count] * added.dtype.type(alpha),
            dtype,
            rounding,
            name,
            first,
        )
        for first, count in pieces(before.size)
    )
