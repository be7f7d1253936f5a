"""How far a donor moves what the layers put out: a sample of a text read by the base and by the donor.

Tokens that a model keeps for itself are left out by the norm of the base's output, as in a diagnosis
(:mod:`sae_merge_method.corpora.counting`).
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.attribute.texts import Text
from sae_merge_method.corpora.batches import Batch
from sae_merge_method.corpora.counting import norm_limit
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.in_memory.weights import everywhere
from sae_merge_method.loaded.residual_stream import forward

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float64]

SAMPLE = 1024
"""Tokens that are looked at, about: the base's outputs at all of them are in memory at once."""


class Moved(NamedTuple):
    """Sums over the tokens of each group, by layer."""

    read: Floats
    """(G, L) tokens."""
    shift: Floats
    """(G, L) length of the change over length of the base's output."""
    lengths: Floats
    """(G, L) change of the length, without regard to sign."""


def moved(edited: EditedModel, text: Text) -> Moved:
    """Sums for one text; leaves the donor's weights set.

    Args:
        edited: The base in memory, with one donor.
        text: Of every group the first batch is read, and of that an even share of the sample.
    """
    layers = range(len(edited.model.blocks))
    each = -(-SAMPLE // len(text.groups))
    batches = [batches[0] for batches in text.groups]
    edited.set_weights(everywhere(0.0))
    before = [_outputs(edited, batch, each) for batch in batches]
    edited.set_weights(everywhere(1.0))
    sums = np.zeros((3, len(batches), len(layers)))
    limits = [_limit([outputs[layer] for outputs in before]) for layer in layers]
    for group, batch in enumerate(batches):
        after = _outputs(edited, batch, each)
        for layer in layers:
            old, new = before[group][layer], after[layer]
            length = old.norm(dim=-1)
            counts = (length <= limits[layer]) & (length > 0)
            change = (new - old).norm(dim=-1)
            longer = (new.norm(dim=-1) - length).abs()
            sums[:, group, layer] = (
                int(counts.sum()),
                float((change / length)[counts].sum()),
                float(longer[counts].sum()),
            )
    return Moved(*sums)


def _outputs(edited: EditedModel, batch: Batch, most: int) -> "dict[int, torch.Tensor]":
    """By layer, (T, d) what it puts out at the first predicted tokens, float32 on the CPU."""
    layers = range(len(edited.model.blocks))
    return forward(edited.model, batch, dict.fromkeys(layers, lambda states: states[:most].float().cpu()))


def _limit(outputs: "list[torch.Tensor]") -> float:
    import torch

    return norm_limit(float(torch.cat(outputs).norm(dim=-1).median()))
