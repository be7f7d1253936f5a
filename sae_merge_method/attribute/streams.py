"""What layers put out in the base, what each would put out edited alone, and the loss's gradient there.

A few batches at a time: what is held of them is bounded, whatever the text's length. The base is read forward
and backward, then the donor's weights are set and every block is run again on what it read in the base: so
each layer's output is that of the model with this layer alone edited, and all layers cost one pass together.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.corpora.batches import Batch
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.in_memory.losses import nats
from sae_merge_method.in_memory.weights import everywhere
from sae_merge_method.loaded.passes import checkpointed, fed, hooked, read_inputs, read_sites
from sae_merge_method.loaded.sites import Site

if TYPE_CHECKING:
    import torch

    from sae_merge_method.loaded.text_model import TextModel

HELD = 1 << 30
"""Bytes of activations that are in memory at once; a batch that needs more is held all the same."""
_KINDS = 4
"""Streams of each layer: read, put out, put out when edited, gradient."""
PASSES = 4
"""Forward passes that it costs: one and its backward pass through the base, and one through the donor's
blocks."""


class Streams(NamedTuple):
    """Of one batch, behind one layer, (n, d) each, at its tokens without padding."""

    base: "torch.Tensor"
    """What the layer puts out in the base."""
    edited: "torch.Tensor"
    """What it puts out with the donor's tensors, on what it reads in the base."""
    gradient: "torch.Tensor"
    """Of the summed nats of the batch, by ``base``."""


def in_chunks(
    groups: Sequence[Sequence[Batch]], n_layers: int, d_model: int, itemsize: int
) -> tuple[tuple[tuple[int, Batch], ...], ...]:
    """Batches with the numbers of their groups, as many together as :data:`HELD` allows; always the same.

    Args:
        groups: Batches by group.
        n_layers: Layers that are looked at.
        d_model: Width of the residual stream.
        itemsize: Bytes of one number.
    """
    a_token = _KINDS * n_layers * d_model * itemsize
    chunks: list[list[tuple[int, Batch]]] = [[]]
    held = 0
    for group, batches in enumerate(groups):
        for batch in batches:
            size = batch.ids.size * a_token
            if chunks[-1] and held + size > HELD:
                chunks.append([])
                held = 0
            chunks[-1].append((group, batch))
            held += size
    return tuple(map(tuple, chunks))


def streams_of(
    edited: EditedModel, batches: Sequence[Batch], layers: Sequence[int], *, recompute: bool
) -> Iterator[tuple[int, list[Streams]]]:
    """By layer, the streams of all batches; leaves the donor's weights set.

    Args:
        edited: The base in memory, with one donor.
        batches: To be held together.
        layers: Which layers.
        recompute: Compute activations again in the backward pass.
    """
    edited.set_weights(everywhere(0.0))
    of_base = [_base(edited.model, batch, layers, recompute=recompute) for batch in batches]
    edited.set_weights(everywhere(1.0))
    after = [_edited(edited.model, batch, held.inputs) for batch, held in zip(batches, of_base, strict=True)]
    for layer in layers:
        yield (
            layer,
            [
                Streams(held.outputs.pop(layer), put_out.pop(layer), held.gradients.pop(layer))
                for held, put_out in zip(of_base, after, strict=True)
            ],
        )


class _Base(NamedTuple):
    inputs: "dict[int, torch.Tensor]"
    """(B, T, d)"""
    outputs: "dict[int, torch.Tensor]"
    """(n, d), as the gradients."""
    gradients: "dict[int, torch.Tensor]"


def _base(model: "TextModel", batch: Batch, layers: Sequence[int], *, recompute: bool) -> _Base:
    import torch

    kept = torch.from_numpy(batch.attention)
    inputs: dict[int, torch.Tensor] = {}
    outputs: dict[int, torch.Tensor] = {}

    def read(layer: int, states: "torch.Tensor") -> None:
        inputs[layer] = states.detach()

    def put_out(layer: int, states: "torch.Tensor") -> "torch.Tensor":
        # No parameter asks for a gradient: behind the first layer the graph begins.
        outputs[layer] = states if states.requires_grad else states.detach().requires_grad_()
        outputs[layer].retain_grad()
        return outputs[layer]

    with (
        torch.enable_grad(),
        checkpointed(list(model.blocks)) if recompute else nullcontext(),
        read_inputs(model, {layer: partial(read, layer) for layer in layers}),
        hooked(model, {Site(layer): partial(put_out, layer) for layer in layers}),
    ):
        nats(model, batch).sum().backward()  # type: ignore[no-untyped-call]

    def flat(states: "torch.Tensor") -> "torch.Tensor":
        return states.detach()[kept.to(states.device)].cpu()

    gradients = {}
    for layer, states in outputs.items():
        assert states.grad is not None
        gradients[layer] = flat(states.grad)
    return _Base(
        {layer: states.cpu() for layer, states in inputs.items()},
        {layer: flat(states) for layer, states in outputs.items()},
        gradients,
    )


def _edited(model: "TextModel", batch: Batch, inputs: "dict[int, torch.Tensor]") -> "dict[int, torch.Tensor]":
    import torch

    kept = torch.from_numpy(batch.attention)
    outputs: dict[int, torch.Tensor] = {}

    def put_out(layer: int, states: "torch.Tensor") -> None:
        outputs[layer] = states[kept.to(states.device)].cpu()

    with fed(model, inputs):
        read_sites(model, batch, {Site(layer): partial(put_out, layer) for layer in inputs})
    return outputs
