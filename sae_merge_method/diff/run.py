"""Hold two checkpoints against each other, tensor by tensor: which differ, and by how much.

Tensors are matched by what they are in every layout, so two layouts of one model can be compared. Values
are read in pieces: memory does not grow with the models.
"""

import math
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from sae_merge_method.artifacts.difference import Difference, Stored, StoredTwice, TensorDifference
from sae_merge_method.errors import ModelError
from sae_merge_method.files.parallel import Advance, bytes_bar, run_all
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.hub import open_model
from sae_merge_method.models.reading import Values, WeightFiles, pieces
from sae_merge_method.models.tensor_names import LayerPart, decoder_layer, layer_part, place, shared_name


def diff(first: str | Path, second: str | Path) -> Difference:
    """Compare the weights of two checkpoints.

    Args:
        first: Folder, or Hub id[@revision]: what the second is measured against.
        second: The other.

    Raises:
        ModelError: One of them cannot be had, or holds one tensor twice, under two names.
        MergeError: A file changed while it was being read.
    """
    checkpoints = open_model(str(first)), open_model(str(second))
    places = [_by_place(checkpoint) for checkpoint in checkpoints]
    names = {at: shared_name(entry.name) for of_one in reversed(places) for at, entry in of_one.items()}
    left, right = ({names[at]: entry for at, entry in of_one.items()} for of_one in places)
    shared = sorted(left.keys() & right.keys(), key=_in_order)
    comparable = [name for name in shared if _is_comparable(left[name], right[name])]
    total = sum(left[name].nbytes for name in comparable)
    with bytes_bar(total, "comparing") as advance, WeightFiles(checkpoints) as files:
        compared = run_all(
            [partial(_compare, name, left[name], right[name], files, advance) for name in comparable]
        )
        files.require_unchanged()
    unlike = [name for name in shared if name not in set(comparable)]
    unlike += [name for name, tensor in zip(comparable, compared, strict=True) if tensor is None]
    apart = set(unlike)
    return Difference(
        tensors=tuple(tensor for tensor in compared if tensor is not None),
        only_in_first=tuple(sorted(left.keys() - right.keys())),
        only_in_second=tuple(sorted(right.keys() - left.keys())),
        not_comparable=tuple(unlike),
        stored=tuple(
            StoredTwice(name=name, first=_stored(left[name]), second=_stored(right[name]))
            for name in shared
            if name in apart or _stored(left[name]) != _stored(right[name])
        ),
    )


def _by_place(checkpoint: Checkpoint) -> Mapping[LayerPart | str, TensorEntry]:
    entries: dict[LayerPart | str, TensorEntry] = {}
    for name, entry in checkpoint.tensors.items():
        at = place(name)
        if at in entries:
            twice = f"as {entries[at].name} and as {name}"
            raise ModelError(f"{checkpoint.folder} holds {shared_name(name)} twice, {twice}")
        entries[at] = entry
    return entries


def _in_order(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Layers in their order, other tensors before them; numbers inside names count as numbers."""
    layer = decoder_layer(name)
    parts = [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]
    return (-1 if layer is None else layer, parts)


def _stored(entry: TensorEntry) -> Stored:
    return Stored(dtype=entry.dtype, shape=entry.shape)


def _is_comparable(left: TensorEntry, right: TensorEntry) -> bool:
    numbers = left.is_float and right.is_float
    return left.shape == right.shape and (numbers or left.dtype == right.dtype)


def _compare(
    name: str, left: TensorEntry, right: TensorEntry, files: WeightFiles, advance: Advance
) -> TensorDifference | None:
    """The difference of two tensors of one shape; None for other bytes that are no numbers."""
    same_bytes = left.dtype == right.dtype and files.same_bytes(left, right)
    if not (same_bytes or left.is_float):
        return None
    squares = moves = largest = 0.0
    changed = 0
    if same_bytes:
        advance(left.nbytes)
    else:
        before, after = Values(files, left, np.float64), Values(files, right, np.float64)
        for first, size in pieces(left.n_values):
            old, new = before.read(first, size), after.read(first, size)
            with np.errstate(invalid="ignore", over="ignore"):
                changed += int((old.numbers != new.numbers).sum())
                squares += float(np.square(old.numbers).sum())
                moved = np.subtract(new.numbers, old.numbers, out=new.numbers)
                moves += float(np.square(moved).sum())
                largest = float(np.maximum(largest, np.abs(moved).max(initial=0.0)))
            advance(old.stored.nbytes)
    key = layer_part(name)
    return TensorDifference(
        name=name,
        layer=key.layer if key else None,
        part=key.part if key else None,
        same_bytes=same_bytes,
        values=left.n_values,
        changed=changed,
        relative=math.sqrt(moves / squares) if squares else (math.inf if moves else 0.0),
        largest=largest,
    )
