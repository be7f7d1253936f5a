"""Documents through the model: padded batches, one forward pass each, every wanted block's output.

Plain forward hooks on the decoder's blocks, the base model without its head. What is made of the
activations is the caller's business; nothing is kept here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from sae_merge_method.corpora.tokens import Bits, Document, Ids, Mask

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.model import TextModel

Made = TypeVar("Made")


class Batch(NamedTuple):
    """Documents that go through the model together, padded on the right."""

    documents: tuple[int, ...]
    """Positions of the documents in the whole list."""
    ids: Ids
    """(B, T) what the model reads."""
    attention: Mask
    """(B, T) False on padding."""
    counted: Mask
    """(B, T) False on padding and special tokens."""
    classes: Bits
    """(n,) classes of the counted tokens, document by document."""


def make_batches(documents: Sequence[Document], tokens_per_batch: int) -> Iterator[Batch]:
    """Batches of similar length, longest first, each within ``tokens_per_batch`` with padding.

    A document longer than that is a batch of its own.
    """
    order = sorted(range(len(documents)), key=lambda nth: (-len(documents[nth].ids), nth))
    start = 0
    while start < len(order):
        width = len(documents[order[start]].ids)
        stop = start + max(1, tokens_per_batch // width)
        yield _pad(documents, tuple(order[start:stop]), width)
        start = stop


def _pad(documents: Sequence[Document], chosen: tuple[int, ...], width: int) -> Batch:
    ids = np.zeros((len(chosen), width), dtype=np.int64)
    attention = np.zeros_like(ids, dtype=np.bool_)
    counted = np.zeros_like(attention)
    for row, nth in enumerate(chosen):
        document = documents[nth]
        length = len(document.ids)
        ids[row, :length] = document.ids
        attention[row, :length] = True
        counted[row, :length] = document.counted
    classes = np.concatenate([documents[nth].counted_classes for nth in chosen])
    return Batch(chosen, ids, attention, counted, classes)


class _LastBlockDone(Exception):  # noqa: N818  no error: it ends a pass when nothing more is wanted
    pass


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
    """
    import torch

    counted = torch.from_numpy(batch.counted)
    whole = bool(batch.attention.all())
    last = max(use)
    made: dict[int, Made] = {}

    def receive(layer: int, output: "torch.Tensor | tuple[torch.Tensor, ...]") -> None:
        # Which of the two a block returns depends on the architecture.
        hidden = output[0] if isinstance(output, tuple) else output
        made[layer] = use[layer](hidden[counted.to(hidden.device)])
        if layer == last:
            raise _LastBlockDone

    with torch.inference_mode(), suppress(_LastBlockDone), _hooks(model, use, receive):
        model.decoder(
            input_ids=torch.from_numpy(batch.ids).to(model.device),
            attention_mask=None if whole else torch.from_numpy(batch.attention).to(model.device).long(),
            use_cache=False,
        )
    return made


@contextmanager
def _hooks(
    model: "TextModel",
    layers: "Mapping[int, object]",
    receive: "Callable[[int, torch.Tensor | tuple[torch.Tensor, ...]], None]",
) -> Iterator[None]:
    handles = [
        model.blocks[layer].register_forward_hook(
            lambda _module, _inputs, output, layer=layer: receive(layer, output)
        )
        for layer in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
