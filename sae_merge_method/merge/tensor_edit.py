"""Edit one tensor from its files: read in pieces, computed in float32, rounded once, hashed as it goes.

Where the pieces go is the caller's affair: into a copy, into the checkpoint itself, or nowhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import xxhash

from sae_merge_method.checkpoints import DTYPE_NAMES, TensorEntry
from sae_merge_method.edit.scalpel import Filter
from sae_merge_method.errors import MergeError
from sae_merge_method.merge.copying import Advance
from sae_merge_method.merge.kernels import shifted
from sae_merge_method.merge.shifts import require_finite, shift_of
from sae_merge_method.merge.tasks import TensorTask
from sae_merge_method.merge.values import (
    SCRATCH,
    pieces,
    precise_of,
    read_values,
    squared_distance,
    widened,
)
from sae_merge_method.stored_numbers import fits, narrow
from sae_merge_method.weight_files import WeightFiles

_HASHED_AT_ONCE = 1 << 20

Write = Callable[[memoryview, int], None]
"""Takes bytes, and where in the tensor they begin."""


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


def edit_tensor(
    task: TensorTask, change: Filter | None, files: WeightFiles, write: Write, advance: Advance
) -> EditedTensor:
    """Compute one tensor and hand its bytes to ``write``, in order.

    Raises:
        MergeError: A value is (or becomes) NaN or infinite; the message names the tensor.
    """
    base, precise = task.base, precise_of(task.base)
    fast, slow, energy = xxhash.xxh3_128(), sha256(), 0.0
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
        write(raw, first * stored.itemsize)
        fast.update(raw)
        slow.update(raw)
        advance(len(raw))
    return EditedTensor(task, Digests(fast.hexdigest(), slow.hexdigest()), energy)


def digest_tensor(entry: TensorEntry, files: WeightFiles, advance: Advance, *, with_sha256: bool) -> Digests:
    """Hash a tensor's bytes as they lie in its file."""
    fast, slow = xxhash.xxh3_128(), sha256()
    for first in range(0, entry.nbytes, _HASHED_AT_ONCE):
        count = min(_HASHED_AT_ONCE, entry.nbytes - first)
        raw = SCRATCH.array("hashed", np.uint8, count).data
        files.read(entry, first, raw)
        fast.update(raw)
        if with_sha256:
            slow.update(raw)
        advance(len(raw))
    return Digests(fast.hexdigest(), slow.hexdigest() if with_sha256 else None)
