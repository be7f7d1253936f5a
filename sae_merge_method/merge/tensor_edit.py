"""Edit one tensor from its files: read in pieces, computed in float32, rounded once, hashed as it goes.

Where the pieces go is the caller's affair: into a copy, into the checkpoint itself, or nowhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from sae_merge_method.errors import MergeError
from sae_merge_method.files.hashing import Hasher, Hashes
from sae_merge_method.files.parallel import Advance
from sae_merge_method.merge.kernels import shifted, weighted_sum
from sae_merge_method.merge.values import (
    SCRATCH,
    n_not_finite,
    pieces,
    precise_of,
    read_values,
    squared_distance,
    widened,
)
from sae_merge_method.models.checkpoint import DTYPE_NAMES, Checkpoint, TensorEntry
from sae_merge_method.models.dtypes import Floats, fits, narrow
from sae_merge_method.models.reading import WeightFiles
from sae_merge_method.models.tensor_names import LayerPart
from sae_merge_method.recipe.plan import EditPlan
from sae_merge_method.recipe.scalpel import Filter


@dataclass(frozen=True)
class TensorTask:
    """One tensor of a selected layer, its donors', and their factors."""

    place: LayerPart
    base: TensorEntry
    donors: tuple[TensorEntry, ...]
    alphas: tuple[float, ...]


def tensor_tasks(plan: EditPlan, base: Checkpoint, donors: dict[str, Checkpoint]) -> tuple[TensorTask, ...]:
    """One task for each tensor of the selected layers, in the order of their places in the files."""
    tasks = []
    for place, entry in base.layer_tensors.items():
        gifts = plan.donations.get(place.layer, ())
        if gifts:
            theirs = tuple(donors[gift.model].layer_tensors[place] for gift in gifts)
            alphas = tuple(gift.alpha(entry.name) for gift in gifts)
            tasks.append(TensorTask(place, entry, theirs, alphas))
    return tuple(sorted(tasks, key=lambda task: (task.base.file, task.base.start)))


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


Write = Callable[[memoryview, int], None]
"""Takes bytes, and where in the tensor they begin."""


@dataclass(frozen=True)
class EditedTensor:
    """What became of one task."""

    task: TensorTask
    hashes: Hashes
    energy: float
    """Squared Frobenius norm of (edited - base), rounding included."""


def edit_tensor(
    task: TensorTask,
    change: Filter | None,
    files: WeightFiles,
    write: Write | None = None,
    advance: Advance | None = None,
) -> EditedTensor:
    """Compute one tensor and hand its bytes to ``write``, in order; without one they go nowhere.

    Raises:
        MergeError: A value is (or becomes) NaN or infinite; the message names the tensor.
    """
    base, precise = task.base, precise_of(task.base)
    hasher, energy = Hasher(), 0.0
    shift = shift_of(task, change, files)
    for first, count in pieces(base):
        stored = read_values(files, base, first, count, "base")
        if shift is not None:
            theta = widened(stored, base, precise, "base")
            edited = shifted(theta, shift(theta, first))
            if not fits(edited, base.dtype, SCRATCH):
                require_finite(task, files)
                raise MergeError(
                    f"{base.name}: the edit overflows {DTYPE_NAMES[base.dtype]}; "
                    "lower the weight or choose a wider dtype"
                )
            narrow(edited, base.dtype, stored, SCRATCH)
            energy += squared_distance(theta, widened(stored, base, precise, "after"))
        raw = stored.data.cast("B")
        if write is not None:
            write(raw, first * stored.itemsize)
        hasher.update(raw)
        if advance is not None:
            advance(len(raw))
    return EditedTensor(task, hasher.hashes(), energy)
