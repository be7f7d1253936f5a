"""Hold two checkpoints against each other, tensor by tensor: which differ, and by how much.

Tensors are matched by their common name, so two layouts of one model can be compared. Values are
read in pieces: memory does not grow with the models.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sae_merge_method.errors import ModelError
from sae_merge_method.files.parallel import Advance, bytes_bar, run_all
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.reading import Values, WeightFiles, pieces
from sae_merge_method.models.tensor_names import LayerPart, common_name, layer_part


@dataclass(frozen=True)
class TensorDifference:
    """One tensor of both."""

    name: str
    """Its common name."""
    place: LayerPart | None
    """Where it stands in the text decoder; None for all else."""
    same_bytes: bool
    values: int
    changed: int
    """Values that differ as numbers."""
    relative: float
    """||B - A|| / ||A||; infinite where A is zero and B is not, NaN where either holds a NaN."""
    largest: float
    """Largest absolute difference."""


@dataclass(frozen=True)
class Difference:
    """Two checkpoints."""

    tensors: tuple[TensorDifference, ...]
    """Of both, by layer and name."""
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]
    reshaped: tuple[str, ...]
    """Of both, but not comparable: other shapes, or no floating-point numbers and other bytes."""

    @property
    def changed(self) -> tuple[TensorDifference, ...]:
        """The tensors whose bytes differ."""
        return tuple(tensor for tensor in self.tensors if not tensor.same_bytes)

    @property
    def identical(self) -> bool:
        """Whether both hold the same tensors, byte for byte."""
        return not (self.changed or self.only_in_a or self.only_in_b or self.reshaped)


def compare_checkpoints(a: Checkpoint, b: Checkpoint, *, quiet: bool = False) -> Difference:
    """Compare every tensor that both have.

    Raises:
        ModelError: One of them holds two tensors of one common name.
    """
    left, right = _by_common_name(a), _by_common_name(b)
    shared = sorted(left.keys() & right.keys(), key=_in_order)
    comparable = [name for name in shared if _comparable(left[name], right[name])]
    total = sum(left[name].nbytes for name in comparable)
    with bytes_bar(total, "comparing", quiet=quiet) as advance, WeightFiles([a, b]) as files:
        found = run_all(
            [partial(_compare, name, left[name], right[name], files, advance) for name in comparable]
        )
        files.require_unchanged()
    unlike = [name for name in shared if name not in set(comparable)]
    return Difference(
        tuple(one for one in found if one is not None),
        tuple(sorted(left.keys() - right.keys())),
        tuple(sorted(right.keys() - left.keys())),
        tuple(unlike + [name for name, one in zip(comparable, found, strict=True) if one is None]),
    )


def _by_common_name(checkpoint: Checkpoint) -> Mapping[str, TensorEntry]:
    found: dict[str, TensorEntry] = {}
    for name, entry in checkpoint.tensors.items():
        common = common_name(name)
        if common in found:
            raise ModelError(
                f"{checkpoint.folder} holds {common} twice, as {found[common].name} and as {name}"
            )
        found[common] = entry
    return found


def _in_order(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Layers in their order, other tensors before them; numbers inside names count as numbers."""
    place = layer_part(name)
    parts = [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]
    return (place.layer if place else -1, parts)


def _comparable(left: TensorEntry, right: TensorEntry) -> bool:
    numbers = left.is_float and right.is_float
    return left.shape == right.shape and (numbers or left.dtype == right.dtype)


def _compare(
    name: str, left: TensorEntry, right: TensorEntry, files: WeightFiles, advance: Advance
) -> TensorDifference | None:
    values, place = left.n_values, layer_part(name)
    if left.dtype == right.dtype and files.same_bytes(left, right):
        advance(left.nbytes)
        return TensorDifference(name, place, True, values, 0, 0.0, 0.0)
    if not left.is_float:
        return None
    squares = moves = largest = 0.0
    changed = 0
    before, after = Values(files, left, np.float64), Values(files, right, np.float64)
    for first, count in pieces(values):
        old, new = before.read(first, count).numbers, after.read(first, count).numbers
        with np.errstate(invalid="ignore", over="ignore"):
            changed += int((old != new).sum())
            squares += float(np.square(old).sum())
            moved = np.subtract(new, old, out=new)
            moves += float(np.square(moved).sum())
            largest = max(largest, float(np.abs(moved).max(initial=0.0)))
        advance(count * (left.nbytes // max(values, 1)))
    relative = math.sqrt(moves / squares) if squares else (math.inf if moves else 0.0)
    return TensorDifference(name, place, False, values, changed, relative, largest)


def kinds(tensors: Sequence[TensorDifference]) -> tuple[str, ...]:
    """The parts that decoder layers have, in the order they first stand in."""
    return tuple(dict.fromkeys(tensor.place.part for tensor in tensors if tensor.place))
