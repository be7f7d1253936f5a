"""Stored values of a tensor, piece by piece, as numbers in memory that each thread uses again."""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from sae_merge_method.models.checkpoint import TensorEntry
from sae_merge_method.models.dtypes import STORED, Floats, Scratch, widen
from sae_merge_method.models.reading import WeightFiles

PIECE = 1 << 17
"""Values computed at once: what is worked on stays in a core's own cache."""
SCRATCH = Scratch()

Precise = type[np.floating[Any]]


def precise_of(*entries: TensorEntry) -> Precise:
    """In which precision to compute: float32, or float64 where a tensor is stored so."""
    return np.float64 if any(entry.dtype == "F64" for entry in entries) else np.float32


def pieces(entry: TensorEntry, most: int = PIECE) -> Iterator[tuple[int, int]]:
    """(first value, number of values) of consecutive pieces."""
    values = prod(entry.shape)
    for first in range(0, values, most):
        yield first, min(most, values - first)


def read_values(
    files: WeightFiles, entry: TensorEntry, first: int, count: int, role: str = "theirs"
) -> Floats:
    """Values as stored, in memory that the next of the same role overwrite."""
    stored = SCRATCH.array(f"stored {role}", STORED[entry.dtype], count)
    files.read(entry, first * stored.itemsize, stored.data.cast("B"))
    return stored


def widened(stored: Floats, entry: TensorEntry, precise: Precise, role: str) -> Floats:
    """The numbers behind stored values, in memory that the next of the same role overwrite."""
    out = SCRATCH.array(role, precise, stored.size)
    widen(stored, entry.dtype, out)
    return out


def energy_between(before: TensorEntry, after: TensorEntry, files: WeightFiles) -> float:
    """Squared distance of two stored tensors, summed in the order in which an edit sums it."""
    precise, energy = precise_of(before, after), 0.0
    for first, count in pieces(before):
        old = widened(read_values(files, before, first, count), before, precise, "base")
        new = widened(read_values(files, after, first, count), after, precise, "after")
        energy += squared_distance(old, new)
    return energy


def n_not_finite(entry: TensorEntry, files: WeightFiles) -> int:
    """How many values of a tensor are NaN or infinite."""
    bad = 0
    for first, count in pieces(entry):
        values = widened(read_values(files, entry, first, count), entry, precise_of(entry), "base")
        bad += int((~np.isfinite(values)).sum())
    return bad


def squared_distance(before: Floats, after: Floats) -> float:
    """Sum of squared differences of one piece; numpy sums pairwise: float32 keeps six digits and more."""
    moved = SCRATCH.array("moved", before.dtype, before.size)
    with np.errstate(over="ignore", under="ignore"):
        np.subtract(after, before, out=moved)
        np.multiply(moved, moved, out=moved)
        total = float(moved.sum())
    if np.isfinite(total) or before.dtype == np.float64:
        return total
    return squared_distance(before.astype(np.float64), after.astype(np.float64))
