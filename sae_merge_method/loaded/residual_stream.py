"""A batch of documents through the model, in one forward pass: every wanted block's output, or a part's.

The base model without its head. What is made of the activations is the caller's business; nothing is kept.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from sae_merge_method.corpora.batches import Batch
from sae_merge_method.loaded.passes import read_sites
from sae_merge_method.loaded.sites import Site
from sae_merge_method.models.devices import sent

if TYPE_CHECKING:
    import torch

    from sae_merge_method.loaded.text_model import TextModel

Made = TypeVar("Made")


def forward(
    model: "TextModel", batch: Batch, use: "Mapping[int, Callable[[torch.Tensor], Made]]"
) -> dict[int, Made]:
    """Run one batch through the model, up to the last wanted block.

    One layer's residual stream is in memory at a time: it is used as soon as its block has run.

    Args:
        model: The text model.
        batch: Padded documents.
        use: By wanted layer, what to make of its residual stream at the counted tokens: (T, d_model)
            in the model's dtype, document by document in the batch's order.

    Returns:
        What ``use`` made, by layer.

    Raises:
        ModelError: The blocks put out more than one stream, as Gemma 3n's do.
    """
    made = forward_at(model, batch, {Site(layer): function for layer, function in use.items()})
    return {site.layer: one for site, one in made.items()}


def forward_at(
    model: "TextModel", batch: Batch, use: "Mapping[Site, Callable[[torch.Tensor], Made]]"
) -> dict[Site, Made]:
    """The same for sites of any kind.

    Args:
        model: The text model.
        batch: Padded documents.
        use: By wanted site, what to make of its activations at the counted tokens, (T, d).

    Raises:
        ModelError: As in :func:`forward`; or a family's parts are not known.
    """
    counted = np.flatnonzero(batch.counted)
    on: dict[torch.device, torch.Tensor] = {}  # sent to each device once: a mask would be waited for
    made: dict[Site, Made] = {}

    def receive(site: Site, states: "torch.Tensor") -> None:
        if states.device not in on:
            on[states.device] = sent(counted, states.device)
        made[site] = use[site](states.flatten(0, 1)[on[states.device]])

    read_sites(model, batch, {site: partial(receive, site) for site in use})
    return made
