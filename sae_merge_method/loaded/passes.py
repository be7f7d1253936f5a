"""Passes through a model in which the activations of its sites are read, or replaced by others.

And those in which some blocks are run otherwise. What is made of the activations is the caller's business;
nothing is kept.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from sae_merge_method.corpora.batches import Batch
from sae_merge_method.errors import ModelError, first_line
from sae_merge_method.loaded.sites import OUTPUT, Site, source_of

if TYPE_CHECKING:
    import torch

    from sae_merge_method.loaded.text_model import TextModel

LOG = logging.getLogger(__name__)


class _PassEnded(Exception):  # noqa: N818  no error: nothing more of the pass is wanted
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

    Raises:
        ModelError: The blocks put out more than one stream, as Gemma 3n's do; or a family's parts are not
            known.
    """
    import torch

    last = max(site.layer for site in receive)

    def told(site: Site, states: torch.Tensor) -> None:
        if states.dim() != 3:
            raise ModelError(
                f"the blocks of {type(model.decoder).__name__} put out several streams at once "
                f"{tuple(states.shape)}: there is no one residual stream to read"
            )
        receive[site](states)

    change = {site: partial(told, site) for site in receive}
    # Hooks are called in the order in which they were set: what the last block puts out is told of first.
    with torch.inference_mode(), hooked(model, change), ended_behind(model.blocks[last]):
        model.decoder(**inputs_of(model, batch), use_cache=False)


@contextmanager
def ended_behind(
    block: "torch.nn.Module", receive: Callable[[Any], None] = lambda output: None
) -> Iterator[None]:
    """Within, a forward pass goes no further than a block, whose output is handed on; the rest of the body is
    left out with the rest of the pass."""

    def end(_module: object, _inputs: object, output: Any) -> None:
        receive(output)
        raise _PassEnded

    with suppress(_PassEnded), block.register_forward_hook(end):
        yield


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
    with ExitStack() as hooks:
        for site, function in change.items():
            _, module, side = source_of(model, site)
            hooks.enter_context(
                module.register_forward_hook(partial(_through, function))
                if side == OUTPUT
                else module.register_forward_pre_hook(partial(_into, function))
            )
        yield


def fed(model: "TextModel", inputs: "Mapping[int, torch.Tensor]") -> AbstractContextManager[None]:
    """Within, a layer's block reads the residual stream (B, T, d) of ``inputs``, whatever came before."""
    return _before_blocks(model, {layer: partial(_instead, states) for layer, states in inputs.items()})


def read_inputs(
    model: "TextModel", receive: "Mapping[int, Callable[[torch.Tensor], None]]"
) -> AbstractContextManager[None]:
    """Within, the residual stream (B, T, d) that a layer's block reads is handed on before it runs."""
    return _before_blocks(model, {layer: partial(_hand_on, function) for layer, function in receive.items()})


def handing_on(blocks: "Iterable[torch.nn.Module]", output: Any) -> AbstractContextManager[None]:
    """Within, blocks compute nothing and put out ``output``, whatever comes in."""
    return _run_as(blocks, lambda _own: lambda *_args, **_kwargs: output)


def uncached(decoder: "torch.nn.Module") -> "AbstractContextManager[Any]":
    """Within, a decoder keeps no keys and values of a pass for a next one, whatever its caller asks for."""
    return decoder.register_forward_pre_hook(
        lambda _module, args, kwargs: (args, {**kwargs, "use_cache": False}), with_kwargs=True
    )


def short_cut(run: "Callable[[], torch.Tensor]", instead: str) -> "torch.Tensor | None":
    """What a pass that leaves something out gives; None, with a line in the log, where a model cannot go so.

    Its own code finds out, by whatever error: a block may want what one that was left out leaves behind.

    Args:
        run: The pass.
        instead: What is done where it fails, for the log.
    """
    try:
        return run()
    except Exception as error:
        LOG.info("%s: %s: %s", instead, type(error).__name__, first_line(error))
        return None


def checkpointed(blocks: "Iterable[torch.nn.Module]") -> AbstractContextManager[None]:
    """Activation checkpointing: a block's activations are computed again in the backward pass, not kept.

    Memory then holds one block's activations and every block's input; a backward pass costs one more forward
    pass. The module stays in evaluation mode, as transformers' own checkpointing would not leave it.
    """
    from torch.utils.checkpoint import checkpoint

    return _run_as(blocks, lambda own: partial(checkpoint, own, use_reentrant=False))


@contextmanager
def _run_as(
    blocks: "Iterable[torch.nn.Module]", made_of: "Callable[[Callable[..., Any]], Callable[..., Any]]"
) -> Iterator[None]:
    """Within, each block's forward is what is made of its own."""
    # A module spread over devices has a forward of its own instance, which comes back.
    own = [(block, block.__dict__.get("forward")) for block in blocks]
    try:
        for block, _ in own:
            block.forward = made_of(block.forward)
        yield
    finally:
        for block, forward in own:
            block.__dict__.pop("forward", None)  # the class's own is left
            if forward is not None:
                block.forward = forward


@contextmanager
def _before_blocks(model: "TextModel", hooks: "Mapping[int, Callable[..., Any]]") -> Iterator[None]:
    with ExitStack() as set_hooks:
        for layer, hook in hooks.items():
            set_hooks.enter_context(model.blocks[layer].register_forward_pre_hook(hook, with_kwargs=True))
        yield


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
