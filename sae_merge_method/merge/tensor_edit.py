"""Edit one tensor from its files: read in pieces, computed in float32, rounded once, hashed as it goes.

In which types is the recipe's :class:`~sae_merge_method.recipe.precision.Precision`.

Where the pieces go is the caller's affair: into a copy, into the checkpoint itself, or nowhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from sae_merge_method.errors import MergeError
from sae_merge_method.files.hashing import Hasher, Hashes
from sae_merge_method.files.parallel import Advance
from sae_merge_method.geometry.realised import EditSums, edit_sums
from sae_merge_method.layers import Unit, unit_of
from sae_merge_method.merge.arithmetic import Room, as_rounded, inject_piece, weighted_sum
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.dtypes import DTYPE_NAMES, DTYPES, Floats, Precise, precise_for
from sae_merge_method.models.dtypes import narrow as narrow_to_nearest
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.reading import PIECE, Values, WeightFiles, pieces
from sae_merge_method.recipe.methods import Filter
from sae_merge_method.recipe.plan import EditPlan
from sae_merge_method.recipe.precision import AS_STORED, Precision


@dataclass(frozen=True)
class TensorTask:
    """One tensor of a selected layer, or part of one, its donors', and their factors."""

    unit: Unit
    """What it is selected with."""
    base: TensorEntry
    donors: tuple[TensorEntry, ...]
    alphas: tuple[float, ...]
    precision: Precision = AS_STORED

    @property
    def dtype(self) -> str:
        """In which it is written, by safetensors' name."""
        return self.precision.stored(self.base.dtype)

    @property
    def nbytes(self) -> int:
        """How many bytes it has as it is written."""
        return self.base.n_values * DTYPES[self.dtype].nbytes

    @property
    def precise(self) -> Precise:
        """In which precision it is computed."""
        return self.precision.precise(self.base.dtype, [donor.dtype for donor in self.donors])


def tensor_tasks(
    plan: EditPlan,
    base: Checkpoint,
    donors: Mapping[str, Checkpoint],
    precision: Precision = AS_STORED,
) -> tuple[TensorTask, ...]:
    """One task for each selected tensor, in the order in which the files hold them."""
    tasks = []
    for key, entry in base.layer_tensors.items():
        donations, unit = plan.donations_to(key), unit_of(plan.layers, key)
        if unit is not None:
            entries = tuple(donors[donation.model].layer_tensors[key] for donation in donations)
            alphas = tuple(donation.alpha(entry.name) for donation in donations)
            tasks.append(TensorTask(unit, entry, entries, alphas, precision))
    return tuple(sorted(tasks, key=lambda task: (task.base.file, task.base.start)))


Write = Callable[[memoryview, int], None]
"""Takes bytes, and where in the tensor they begin."""


@dataclass(frozen=True)
class EditedTensor:
    """What became of one task."""

    task: TensorTask
    hashes: Hashes
    sums: EditSums
    """What was to be added, and what the written values hold of it."""


def edit_tensor(
    task: TensorTask,
    change: Filter | None,
    files: WeightFiles,
    write: Write | None = None,
    advance: Advance | None = None,
) -> EditedTensor:
    """Compute one tensor and hand on its bytes, in order.

    Args:
        task: The tensor.
        change: What the merge method makes of its task vector; None where that is added as it is.
        files: Open for reading.
        write: Takes the bytes; None where they go nowhere.
        advance: Told how many bytes of the base are done.

    Raises:
        MergeError: A value is (or becomes) NaN or infinite, or the method cannot take this tensor; the
            message names it.
    """
    entry, precise = task.base, task.precise
    base = Values(files, entry, precise)
    tau_of = _tau(task, change, files, base)
    longest = min(PIECE, entry.n_values)
    edited, spare = (np.empty(longest, precise) for _ in range(2))
    # Where the type stays, over the base's own piece, which is in the way of nobody any more.
    wide = None if task.dtype == entry.dtype else np.empty(longest, DTYPES[task.dtype].numpy)
    rounding = task.precision.rounding
    hasher, sums = Hasher(), EditSums(values=entry.n_values)
    for first, size in pieces(entry.n_values):
        stored, theta = base.read(first, size)
        written, room = stored if wide is None else wide[:size], Room(edited[:size], spare[:size])
        if tau_of is not None:
            narrow = partial(rounding.narrow, name=entry.name, first=first)
            moved = inject_piece(theta, tau_of(theta, first), task.dtype, written, room, narrow)
            if moved is None:
                _require_finite(task, files)
                raise MergeError(
                    f"{entry.name}: the edit overflows {DTYPE_NAMES[task.dtype]}; "
                    "lower the weight or choose a wider dtype"
                )
            sums = sums.plus(moved)
        elif wide is not None:
            narrow_to_nearest(theta, task.dtype, written, room.spare)
        raw = written.data.cast("B")
        if write is not None:
            write(raw, first * written.itemsize)
        hasher.update(raw)
        if advance is not None:
            advance(len(stored) * stored.itemsize)
    return EditedTensor(task, hasher.hashes(), sums)


def measure_tensor(
    task: TensorTask, change: Filter | None, files: WeightFiles, merged: TensorEntry
) -> EditSums:
    """What somebody else wrote for a task, measured as :func:`edit_tensor` measures what it writes itself.

    Args:
        task: The tensor.
        change: As there.
        files: Open for reading; the merged checkpoint's among them.
        merged: The tensor as it was written.

    Raises:
        MergeError: The method cannot take this tensor.
    """
    base, after = (Values(files, entry, task.precise) for entry in (task.base, merged))
    tau_of = _tau(task, change, files, base)
    spare, sums = np.empty(min(PIECE, merged.n_values), task.precise), EditSums(values=merged.n_values)
    if tau_of is None:
        return sums
    for first, size in pieces(merged.n_values):
        theta = base.read(first, size).numbers
        sums = sums.plus(
            edit_sums(theta, tau_of(theta, first), after.read(first, size).numbers, spare[:size])
        )
    return sums


TauOf = Callable[[Floats, int], Floats]
"""From a piece of the base and its first value's number to what is added there, in memory to be used up."""


def _tau(task: TensorTask, change: Filter | None, files: WeightFiles, base: Values) -> TauOf | None:
    """What to add to one tensor; None for nothing, so that it keeps its very bytes.

    ``base`` may be read here, before the tensor is edited.
    """
    if not any(task.alphas):
        return None  # base + 0 * tau would still turn -0.0 into 0.0
    entry, precise, through = task.base, task.precise, task.precision.through
    donors = [Values(files, donor, precise) for donor in task.donors]

    def raw(theta: Floats, first: int) -> Floats:
        numbers = [donor.read(first, theta.size).numbers for donor in donors]
        if through is not None:
            numbers = [as_rounded(each, through) for each in numbers]
        return weighted_sum(theta, numbers, task.alphas)

    if change is None:
        return raw
    whole = np.empty(entry.n_values, precise)
    for first, size in pieces(entry.n_values):
        whole[first : first + size] = raw(base.read(first, size).numbers, first)
    if not np.isfinite(whole.sum(dtype=np.float64)):  # one such value makes the whole sum so
        _require_finite(task, files)
    changed = change(entry.name, whole.reshape(entry.shape))
    if changed is None:
        return None
    flat = changed.reshape(-1)
    return lambda theta, first: flat[first : first + theta.size]


def _require_finite(task: TensorTask, files: WeightFiles) -> None:
    """Look through a tensor's inputs: what is wrong there is not the edit's fault.

    Raises:
        MergeError: A value is NaN or infinite; the message says whose and how many.
    """
    for side, entry in (("base", task.base), *(("donor", donor) for donor in task.donors)):
        values = Values(files, entry, precise_for(entry.dtype))
        bad = sum(
            int((~np.isfinite(values.read(first, size).numbers)).sum())
            for first, size in pieces(entry.n_values)
        )
        if bad:
            raise MergeError(
                f"{task.base.name}: the {side} tensor holds {bad} NaN or infinite of {entry.n_values} "
                "values, and its layer is selected"
            )
