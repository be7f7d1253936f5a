"""Hearing the residual stream: one forward pass, every wanted block's output.

Plain forward hooks on the decoder's blocks, the base model without its head. What is done with
the activations is the caller's business; nothing is kept here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sae_merge_method.corpora.tokens import Batch

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.model import TextModel

Hear = Callable[[int, "torch.Tensor"], None]
"""Called with a layer and its block's output at the counted tokens, (tokens, d_model)."""


class _Heard(Exception):  # noqa: N818  not an error: stops the pass when nothing more is wanted
    pass


def listen(model: "TextModel", batch: Batch, layers: Sequence[int], hear: Hear) -> None:
    """Run one batch and hand every wanted layer's residual stream to ``hear``, in layer order.

    The pass stops after the last wanted block. Counted tokens come document by document, in the
    batch's order.

    Args:
        model: The text model.
        batch: Padded documents.
        layers: Blocks to hear.
        hear: Receives (layer, (tokens, d_model) in the model's dtype).
    """
    import torch

    device = model.device
    ids = torch.from_numpy(batch.ids).to(device)
    attention = torch.from_numpy(batch.attention).to(device)
    counted = torch.from_numpy(batch.counted)
    whole = bool(batch.attention.all())
    last = max(layers)

    def receive(layer: int, output: "torch.Tensor | tuple[torch.Tensor, ...]") -> None:
        # Which of the two a block returns depends on the architecture.
        hidden = output[0] if isinstance(output, tuple) else output
        hear(layer, hidden[counted.to(hidden.device)])
        if layer == last:
            raise _Heard

    with torch.inference_mode(), suppress(_Heard), _hooks(model, layers, receive):
        model.decoder(
            input_ids=ids,
            attention_mask=None if whole else attention.long(),
            use_cache=False,
        )


@contextmanager
def _hooks(
    model: "TextModel",
    layers: Sequence[int],
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
