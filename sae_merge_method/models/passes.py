"""Passes through a model in which the activations of its sites are read, or replaced by others.

What is made of the activations is the caller's business; nothing is kept.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from sae_merge_method.corpora.batches import Batch
from sae_merge_method.models.sites import OUTPUT, Site, source_of

if TYPE_CHECKING:
    import torch

    from sae_merge_method.models.text_model import TextModel


class _LastDone(Exception):  # noqa: N818  no error: it ends a pass when nothing more is wanted
    pass


def read_sites(
    model: "TextModel", batch: Batch, receive: "Mapping[Site, Callable[[torch.Tensor], None]]"
) -> None:
    """Run one batch through the model, up to the last wanted block.

    Args:
        model: The text model.
        batch: Padded documents.
        receive: By site, told of its activations (B, T, d) as soon as they are there, in the model's dtype;
            they are gone afterwards unless it keeps them.
    """
    import torch

    last = max(site.layer for site in receive)

    def stop(_module: object, _inputs: object, _output: object) -> None:
        raise _LastDone

    with torch.inference_mode(), suppress(_LastDone), hooked(model, receive):
        handle = model.blocks[last].register_forward_hook(stop)
        try:
            model.decoder(**inputs_of(model, batch), use_cache=False)
        finally:
            handle.remove()


def inputs_of(model: "TextModel", batch: Batch) -> "dict[str, torch.Tensor | None]":
    """What the decoder takes of a batch, on its device; no mask where nothing is padded."""
    import torch

    whole = bool(batch.attention.all())
    return {
        "input_ids": torch.from_numpy(batch.ids).to(model.device),
        "attention_mask": None if whole else torch.from_numpy(batch.attention).to(model.device).long(),
    }


@contextmanager
def hooked(
    model: "TextModel", change: "Mapping[Site, Callable[[torch.Tensor], torch.Tensor | None]]"
) -> Iterator[None]:
    """Within, a site's activations (B, T, d) pass through a function; a tensor it returns replaces them."""
    handles = []
    try:
        for site, function in change.items():
            _, module, side = source_of(model, site)
            handles.append(
                module.register_forward_hook(partial(_through, function))
                if side == OUTPUT
                else module.register_forward_pre_hook(partial(_into, function))
            )
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def fed(model: "TextModel", inputs: "Mapping[int, torch.Tensor]") -> Iterator[None]:
    """Within, a layer's block reads the residual stream (B, T, d) of ``inputs``, whatever came before."""
    handles = []
    try:
        for layer, states in inputs.items():
            hook = partial(_instead, states)
            handles.append(model.blocks[layer].register_forward_pre_hook(hook, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def read_inputs(
    model: "TextModel", receive: "Mapping[int, Callable[[torch.Tensor], None]]"
) -> Iterator[None]:
    """Within, the residual stream (B, T, d) that a layer's block reads is handed on before it runs."""
    handles = []
    try:
        for layer, function in receive.items():
            hook = partial(_hand_on, function)
            handles.append(model.blocks[layer].register_forward_pre_hook(hook, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


_STREAM = "hidden_states"
"""transformers' name of what a block reads, where it is not its first argument."""


def _instead(states: "torch.Tensor", _module: object, args: Any, kwargs: Any) -> Any:
    read = args[0] if args else kwargs[_STREAM]
    own = states.to(read.device)
    return ((own, *args[1:]), kwargs) if args else (args, kwargs | {_STREAM: own})


def _hand_on(function: "Callable[[torch.Tensor], None]", _module: object, args: Any, kwargs: Any) -> None:
    function(args[0] if args else kwargs[_STREAM])


def _through(function: "Callable[[torch.Tensor], Any]", _module: object, _inputs: object, output: Any) -> Any:
    # Whether a module returns a tensor or a tuple depends on the architecture.
    made = function(output[0] if isinstance(output, tuple) else output)
    if made is None:
        return None
    return (made, *output[1:]) if isinstance(output, tuple) else made


def _into(function: "Callable[[torch.Tensor], Any]", _module: object, inputs: Any) -> Any:
    made = function(inputs[0])
    return None if made is None else (made, *inputs[1:])
