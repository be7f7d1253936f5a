"""A batch of documents through the model, in one forward pass: every wanted block's output.

Plain forward hooks on the decoder's blocks, the base model without its head. What is made of the
activations is the caller's business; nothing is kept here.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from sae_merge_method.corpora.batches import Batch

if TYPE_CHECKING:
    import torch

    from sae_merge_method.models.text_model import TextModel

Made = TypeVar("Made")


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
