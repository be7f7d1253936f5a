"""``attribution.safetensors``: what an attribution's intervals and scores are told from, without the model.

Sums over each group's predicted tokens, text by text. No clock time: the same inputs write the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.files.writing import write_bytes

GROUPS_FILE = "attribution.safetensors"

Floats = npt.NDArray[np.float64]

_NONE: Floats = np.zeros((0, 0))


class TextGroups(NamedTuple):
    """Of one text, sums over each group's predicted tokens: G groups, T tensors, L layers, S of them with an
    SAE."""

    tokens: npt.NDArray[np.int64]
    """(G,)"""
    base: Floats
    """(G,) nats of the base."""
    first_order: Floats
    """(G, T) nats gained to first order."""
    squares: Floats
    """(G, T) squared norms of the base's gradients, summed over batches."""
    path: Floats
    """(G, T) nats gained along the path; (G, 0) where only the first order was asked for."""
    probes: Floats
    """(G, L) nats gained by each layer alone; (G, 0) where it was not asked for."""
    read: Floats
    """(G, L) tokens whose activations were looked at; (G, 0) for controls."""
    shift: Floats
    """(G, L) sum over them of how far the donor moves the layer's output, over its length."""
    lengths: Floats
    """(G, L) sum over them of how much the donor changes its length."""
    through_features: Floats = _NONE
    """(G, S) nats gained to first order at a layer's output, as far as its SAE's features tell it; empty
    without SAEs."""
    apart: Floats = _NONE
    """(G, S) that part of ``through_features`` which passes through features that the controls do not use;
    empty for controls."""
    through_error: Floats = _NONE
    """(G, S) what the features do not tell: the SAE's error term."""
    dealt: Floats = _NONE
    """(R, S) ``apart`` over all groups with features' preferences dealt out anew; empty for controls."""
    sae_layers: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    """(S,) the layers that have an SAE."""


def write_groups(folder: Path, groups: Sequence[TextGroups]) -> None:
    """Write the sums of an attribution's texts, in their order."""
    from safetensors.numpy import save

    tensors = {
        f"{nth}.{name}": np.ascontiguousarray(value)
        for nth, of_text in enumerate(groups)
        for name, value in of_text._asdict().items()
    }
    write_bytes(folder / GROUPS_FILE, save(tensors))
