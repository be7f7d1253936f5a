"""Edit one tensor from its files: read in pieces, computed in float32, rounded once, hashed as it goes.

Where the pieces go is the caller's affair: into a copy, into the checkpoint itself, or nowhere.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np
import xxhash

from sae_merge_method.checkpoints import DTYPE_NAMES, Checkpoint, TensorEntry
from sae_merge_method.edit.plan import EditPlan
from sae_merge_method.errors import MergeError
from sae_merge_method.merge.copying import Advance
from sae_merge_method.merge.kernels import DirectMethod
from sae_merge_method.merge.numbers import STORED, Floats, Scratch, fits, narrow, squared_distance, widen
from sae_merge_method.merge.reading import WeightFiles
from sae_merge_method.tensor_names import LayerPart

PIECE = 1 << 17
"""Values computed at once: what is worked on stays in a core's own cache."""
_HASHED_AT_ONCE = 1 << 20
_SCRATCH = Scratch()

Write = Callable[[memoryview, int], None]
"""Takes bytes, and where in the tensor they begin."""


@dataclass(frozen=True)
class TensorTask:
    """One tensor of an open layer, its donors', and their factors."""

    place: LayerPart
    base: TensorEntry
    donors: tuple[TensorEntry, ...]
    alphas: tuple[float, ...]


@dataclass(frozen=True)
class Digests:
    """Hashes of a tensor's bytes, in hex; sha256 only where it was asked for."""

    xxh3: str
    sha256: str | None


@dataclass(frozen=True)
class EditedTensor:
    """What became of one task."""

    task: TensorTask
    digests: Digests
    energy: float
    """Squared Frobenius norm of (edited - base), rounding included."""


def tensor_tasks(plan: EditPlan, base: Checkpoint, donors: dict[str, Checkpoint]) -> tuple[TensorTask, ...]:
    """One task for each tensor of the open layers, in the order of their places in the files."""
    tasks = []
    for place, entry in base.layer_tensors.items():
        gifts = plan.donations.get(place.layer, ())
        if gifts:
            theirs = tuple(donors[gift.model].layer_tensors[place] for gift in gifts)
            alphas = tuple(gift.alpha(entry.name) for gift in gifts)
            tasks.append(TensorTask(place, entry, theirs, alphas))
    return tuple(sorted(tasks, key=lambda task: (task.base.file, task.base.start)))


def edit_tensor(
    task: TensorTask, method: DirectMethod, files: WeightFiles, write: Write, advance: Advance
) -> EditedTensor:
    """Compute one tensor and hand its bytes to ``write``, in order.

    Raises:
        MergeError: A value is (or becomes) NaN or infinite; the message names the tensor.
    """
    base, precise = task.base, _precise(task.base)
    fast, slow, energy = xxhash.xxh3_128(), sha256(), 0.0
    for first, count in pieces(base, PIECE if method.elementwise else None):
        stored = read_values(files, base, first, count, "base")
        if any(task.alphas):  # otherwise the base's own bytes: base + 0 * tau turns -0.0 into 0.0
            theta = widened(stored, base, precise, "base")
            theirs = [
                widened(read_values(files, donor, first, count), donor, precise, f"donor {number}")
                for number, donor in enumerate(task.donors)
            ]
            if not method.elementwise:
                theirs = [values.reshape(base.shape) for values in theirs]
            shaped = theta if method.elementwise else theta.reshape(base.shape)
            edited = method.kernel(task.place, shaped, theirs, task.alphas).reshape(-1)
            if not fits(edited, base.dtype, _SCRATCH):
                raise _unfit(task, files)
            narrow(edited, base.dtype, stored, _SCRATCH)
            energy += squared_distance(theta, widened(stored, base, precise, "after"), _SCRATCH)
        raw = stored.data.cast("B")
        at = first * stored.itemsize
        write(raw, at)
        fast.update(raw)
        slow.update(raw)
        advance(len(raw))
    return EditedTensor(task, Digests(fast.hexdigest(), slow.hexdigest()), energy)


def digest_tensor(entry: TensorEntry, files: WeightFiles, advance: Advance, *, with_sha256: bool) -> Digests:
    """Hash a tensor's bytes as they lie in its file."""
    fast, slow = xxhash.xxh3_128(), sha256()
    for first in range(0, entry.nbytes, _HASHED_AT_ONCE):
        count = min(_HASHED_AT_ONCE, entry.nbytes - first)
        raw = _SCRATCH.array("hashed", np.uint8, count).data
        files.read(entry, first, raw)
        fast.update(raw)
        if with_sha256:
            slow.update(raw)
        advance(len(raw))
    return Digests(fast.hexdigest(), slow.hexdigest() if with_sha256 else None)


def read_numbers(entry: TensorEntry) -> Floats:
    """A whole tensor as float32 (float64 stays float64), in its shape and in memory of its own."""
    stored = np.fromfile(entry.file, STORED[entry.dtype], prod(entry.shape), offset=entry.start)
    values = np.empty(stored.size, _precise(entry))
    widen(stored, entry.dtype, values)
    return values.reshape(entry.shape)


def energy_between(before: TensorEntry, after: TensorEntry, files: WeightFiles) -> float:
    """Squared distance of two stored tensors, summed in the order :func:`edit_tensor` sums it."""
    precise: type[np.floating[Any]] = np.float64 if "F64" in (before.dtype, after.dtype) else np.float32
    energy = 0.0
    for first, count in pieces(before, PIECE):
        old = widened(read_values(files, before, first, count), before, precise, "base")
        new = widened(read_values(files, after, first, count), after, precise, "after")
        energy += squared_distance(old, new, _SCRATCH)
    return energy


def _precise(base: TensorEntry) -> type[np.floating[Any]]:
    return np.float64 if base.dtype == "F64" else np.float32


def pieces(entry: TensorEntry, most: int | None = PIECE) -> Iterator[tuple[int, int]]:
    """(first value, number of values) of consecutive pieces."""
    values = prod(entry.shape)
    step = most or max(values, 1)
    for first in range(0, values, step):
        yield first, min(step, values - first)


def read_values(
    files: WeightFiles, entry: TensorEntry, first: int, count: int, role: str = "theirs"
) -> Floats:
    """Values as stored, in memory that the next of the same role overwrite."""
    stored = _SCRATCH.array(f"stored {role}", STORED[entry.dtype], count)
    files.read(entry, first * stored.itemsize, stored.data.cast("B"))
    return stored


def widened(stored: Floats, entry: TensorEntry, precise: type[np.floating[Any]], role: str) -> Floats:
    """The numbers behind stored values, in memory that the next of the same role overwrite."""
    out = _SCRATCH.array(role, precise, stored.size)
    widen(stored, entry.dtype, out)
    return out


def _unfit(task: TensorTask, files: WeightFiles) -> MergeError:
    """Why the result cannot be stored: look through the inputs, and only then blame the edit."""
    sides = [("base", task.base), *(("donor", donor) for donor in task.donors)]
    for side, entry in sides:
        bad = 0
        for first, count in pieces(entry, PIECE):
            values = widened(read_values(files, entry, first, count), entry, _precise(entry), "base")
            bad += int((~np.isfinite(values)).sum())
        if bad:
            return MergeError(
                f"{task.base.name}: the {side} tensor holds {bad} NaN or infinite of {prod(entry.shape)} "
                "values, and its layer is selected"
            )
    return MergeError(
        f"{task.base.name}: the edit overflows {DTYPE_NAMES[task.base.dtype]}; "
        "lower the weight or choose a wider dtype"
    )
