"""What an edit adds to one tensor: the weighted sum of its task vectors, or what a method makes of it.

The sum itself is computed where it is needed, piece by piece. A method that filters it needs the
whole of it first: one tensor's in float32, for each thread.
"""

from collections.abc import Callable
from math import prod

import numpy as np

from sae_merge_method.edit.scalpel import Filter
from sae_merge_method.errors import MergeError
from sae_merge_method.merge.kernels import weighted_sum
from sae_merge_method.merge.tasks import TensorTask
from sae_merge_method.merge.values import n_not_finite, pieces, precise_of, read_values, widened
from sae_merge_method.stored_numbers import Floats
from sae_merge_method.weight_files import WeightFiles

Shift = Callable[[Floats, int], Floats]
"""From a piece of the base and its first value's number to what is added there, in memory to be used up."""


def shift_of(task: TensorTask, change: Filter | None, files: WeightFiles) -> Shift | None:
    """What to add to one tensor; None for nothing, so that it keeps its very bytes.

    Args:
        task: The tensor.
        change: A method's filter, if it has one.
        files: Open for reading.

    Raises:
        MergeError: The filter cannot take this tensor, or inputs to be filtered are not finite.
    """
    if not any(task.alphas):
        return None  # base + 0 * tau would still turn -0.0 into 0.0

    def piece(base: Floats, first: int) -> Floats:
        donors = [
            widened(read_values(files, donor, first, base.size), donor, base.dtype.type, f"donor {number}")
            for number, donor in enumerate(task.donors)
        ]
        return weighted_sum(base, donors, task.alphas)

    if change is None:
        return piece
    entry, precise = task.base, precise_of(task.base)
    whole = np.empty(prod(entry.shape), precise)
    for first, count in pieces(entry):
        base = widened(read_values(files, entry, first, count), entry, precise, "base")
        whole[first : first + count] = piece(base, first)
    if not np.isfinite(whole.sum(dtype=np.float64)):  # one such value makes the whole sum so
        require_finite(task, files)
    changed = change(entry.name, whole.reshape(entry.shape))
    if changed is None:
        return None
    flat = changed.reshape(-1)
    return lambda base, first: flat[first : first + base.size]


def require_finite(task: TensorTask, files: WeightFiles) -> None:
    """Look through a tensor's inputs: what is wrong there is not the edit's fault.

    Raises:
        MergeError: A value is NaN or infinite; the message says whose and how many.
    """
    for side, entry in (("base", task.base), *(("donor", donor) for donor in task.donors)):
        bad = n_not_finite(entry, files)
        if bad:
            raise MergeError(
                f"{task.base.name}: the {side} tensor holds {bad} NaN or infinite of {prod(entry.shape)} "
                "values, and its layer is selected"
            )
