"""The weights that a model has once a LoRA adapter is merged into it: ``W + scale B A``, in float32.

LoRA: Hu et al., arXiv 2106.09685; rsLoRA's scale: arXiv 2312.03732; DoRA, whose rows have the norms that it
learned: arXiv 2402.09353. Only the tensors of the layers asked for are computed, and one at a time; all
others stay where they are.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from sae_merge_method.errors import ModelError
from sae_merge_method.geometry.one_thread import one_blas_thread
from sae_merge_method.layers import Unit, unit_of
from sae_merge_method.models.adapter import Adapter, Factors
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.dtypes import DTYPE_NAMES, DTYPES, Floats, narrow
from sae_merge_method.models.headers import make_header, read_stamped_header
from sae_merge_method.models.reading import read_tensor
from sae_merge_method.models.tensor_names import LayerPart

MERGED_FILE = "merged.safetensors"
_ROUNDING = 1e-6
"""Ratios of norms this near to 1 are 1: that is as well as float32 knows them."""


def merge_adapter(
    adapter: Adapter, model: Checkpoint, layers: Collection[Unit], folder: Path, dtype: str | None = None
) -> Checkpoint:
    """A model with an adapter merged into some of its layers, or parts of them.

    Args:
        adapter: Known to fit these layers.
        model: The model; its other tensors are shared with the result.
        layers: Decoder layers, whole or in part.
        folder: Where the merged tensors are written; there until the result is no longer needed.
        dtype: What to round them to, as recipes write it. Without it they stay float32, so that a merge
            rounds once; a model of several dtypes keeps each tensor's own.

    Raises:
        ModelError: A file is damaged, or no dtype is called so.
        MergeError: A file changed since its header was read.
    """
    parts = sorted(part for part in {*adapter.factors, *adapter.saved} if unit_of(layers, part) is not None)
    entries = {part: model.layer_tensors[part] for part in parts}
    kinds = {part: _kind(dtype, model, entry.dtype) for part, entry in entries.items()}
    header = make_header({entries[part].name: (kinds[part], entries[part].shape) for part in parts})
    file = folder / MERGED_FILE
    with file.open("wb") as stream, one_blas_thread():
        stream.write(header)
        for part in parts:
            stream.write(_stored(merged_tensor(adapter, model, part), kinds[part], entries[part].name))
    tensors, stamp = read_stamped_header(file)
    return replace(
        model, folder=folder, tensors={**model.tensors, **tensors}, stamps={**model.stamps, file: stamp}
    )


def merged_tensor(adapter: Adapter, model: Checkpoint, part: LayerPart) -> Floats:
    """One tensor of the merged model, in the model's own shape; float32, or float64 where its model is.

    Raises:
        ModelError: A file is damaged.
    """
    own = model.layer_tensors[part]
    weight = read_tensor(adapter.saved.get(part, own))
    factors = adapter.factors.get(part)
    if factors is None:
        return weight
    # As (out, in), whichever way the model stores it.
    turned = adapter.is_turned(part, own)
    merged = _with_factors(weight.T if turned else weight, factors)
    return np.ascontiguousarray(merged.T if turned else merged)


def change_norm(adapter: Adapter, part: LayerPart, model: Checkpoint) -> float:
    """Frobenius norm of what an adapter adds to one tensor.

    Of a plain LoRA it is told from its factors' Gram matrices, without the product or the model's weights.

    Raises:
        ModelError: A file is damaged.
    """
    factors = adapter.factors.get(part)
    if part in adapter.saved or factors is None or factors.magnitude is not None:
        before = read_tensor(model.layer_tensors[part])
        return float(np.linalg.norm(merged_tensor(adapter, model, part) - before))
    a, b = (read_tensor(entry).astype(np.float64) for entry in (factors.a, factors.b))
    squared = float(np.sum((b.T @ b) * (a @ a.T)))
    return abs(factors.scale) * float(np.sqrt(max(squared, 0.0)))


def _with_factors(weight: Floats, factors: Factors) -> Floats:
    product = read_tensor(factors.b) @ read_tensor(factors.a)
    merged: Floats = weight + weight.dtype.type(factors.scale) * product
    if factors.magnitude is None:
        return merged
    norms = np.linalg.norm(merged, axis=1)
    magnitude = read_tensor(factors.magnitude).reshape(-1)
    if len(magnitude) != len(norms):
        raise ModelError(
            f"{factors.magnitude.file}: expected {len(norms)} numbers in {factors.magnitude.name}, "
            f"got {len(magnitude)}"
        )
    ratio = magnitude / norms
    ratio[np.abs(ratio - 1) <= _ROUNDING] = 1
    scaled: Floats = merged * ratio[:, np.newaxis]
    return scaled


def _kind(asked: str | None, model: Checkpoint, own: str) -> str:
    if asked is None:
        return "F64" if own == "F64" else "F32" if len(model.dtypes()) == 1 else own
    for kind, name in DTYPE_NAMES.items():
        if name == asked:
            return kind
    raise ModelError(f"lora_merge_dtype: expected one of {', '.join(DTYPE_NAMES.values())}, got {asked!r}")


def _stored(values: Floats, kind: str, name: str) -> bytes:
    flat = values.reshape(-1)
    if kind != "F64":
        flat = flat.astype(np.float32, copy=False)
    out = np.empty(flat.shape, DTYPES[kind].numpy)
    if not narrow(flat, kind, out, np.empty_like(flat)):
        raise ModelError(f"{name}: merged with its adapter it is NaN or infinite in {DTYPE_NAMES[kind]}")
    return out.tobytes()
