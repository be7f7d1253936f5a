"""What a base's blocks hand on to a later one, kept batch by batch: forward passes of edits begin there.

Blocks before the first edited one put out for an edit what they put out for the base. So a pass over a
batch that was seen before runs the model's own forward, with those blocks replaced by ones that hand on
what is kept: masks, position embeddings, the other blocks and the head are the model's own code, on the
same batch and padding, and the logits are the plain way's to the last bit. Whether they are is tried on a
few tokens for every layer that passes are to begin at; where later blocks of a family take
more from earlier ones than their output (shared keys and values, embeddings of a layer), they are not, or the
family's own code cannot go on, and passes go the plain way.

One layer's states are kept at a time, and run on from there to a later layer: edits that come in the order
of their first layer cost one pass of the base together. They take a share of the free memory, and then of
the free disk, in a file without a name that is gone with the process; what is beyond goes the plain way.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import xxhash

from sae_merge_method.in_memory.kept_tensors import KeptTensors
from sae_merge_method.loaded.passes import ended_behind, handing_on, short_cut, uncached
from sae_merge_method.models.devices import format_memory

if TYPE_CHECKING:
    import torch

LOG = logging.getLogger(__name__)

Forward = Callable[["torch.Tensor"], "torch.Tensor"]
"""From token ids (B, T) to logits (B, T, vocabulary), or to what is told of them: the whole model."""
_FEW = 16
"""Tokens on which is tried whether passes may begin at a layer."""


class _Few(NamedTuple):
    """What a base makes of a few tokens the plain way."""

    ids: "torch.Tensor"
    """(1, T)."""
    put_out: "tuple[torch.Tensor | None, ...]"
    """(1, T, d) of every block; None where it puts out more, or otherwise."""
    logits: bytes
    """Their hash."""
    needs_cache: bool
    """Whether logits of a whole document without a cache are others."""


class StoredStates:
    """What one loaded base's blocks put out for each batch that was seen, up to the layer where passes begin.

    Batches are seen by :meth:`run`; within :meth:`beginning_at` it hands on what is kept of them.
    """

    def __init__(
        self,
        decoder: "torch.nn.Module",
        blocks: "Iterable[torch.nn.Module]",
        folder: Path,
        sharers: int = 1,
    ) -> None:
        """Nothing is kept yet.

        Args:
            decoder: What runs the blocks, within the model.
            blocks: Its blocks.
            folder: On the disk to use where memory does not suffice.
            sharers: Processes that use memory and disk so, this one among them.
        """
        self._decoder = decoder
        self._blocks = tuple(blocks)
        self._new_room = partial(KeptTensors, folder, sharers)
        self._room = self._new_room()
        self._seen: dict[bytes, torch.Tensor] = {}
        self._layer = 0
        """Whose inputs are kept."""
        self._begins = False
        self._tuple: int | None = None
        """How many things a block puts out, all but the first of them None; None for the states alone."""
        self._few: _Few | None = None
        self._tried: dict[int, bool] = {}

    def run(self, forward: Forward, ids: "torch.Tensor") -> "torch.Tensor":
        """The logits of a batch, from what is kept of it where passes begin later; else it is remembered.

        Args:
            forward: The model.
            ids: (B, T).
        """
        key = _hash(ids)
        state = self._room.get(key) if self._begins else None
        if state is None:
            self._seen.setdefault(key, ids.cpu())
            return forward(ids)
        with self._handing_on(state.to(self._device), self._layer):
            return forward(ids)

    @contextmanager
    def beginning_at(self, layer: int, forward: Forward) -> Iterator[None]:
        """Within, passes over the batches seen so far begin at a layer.

        Args:
            layer: The first block that is edited within.
            forward: The model, which is the base when this is entered.
        """
        self._begins = layer > 0 and bool(self._seen) and self._kept_at(layer, forward)
        if self._begins:
            kept = format_memory(self._room.nbytes)
            LOG.info("passes begin at layer %d: %d batches, %s", layer, len(self._room), kept)
        try:
            yield
        finally:
            self._begins = False

    def _kept_at(self, layer: int, forward: Forward) -> bool:
        if not self._tried.get(layer, True):
            return False
        # Before the batches pass: what a block leaves behind in the model itself is then of other tokens.
        few = self._few = self._few or self._plain_way_of_few(forward)
        before, self._layer = self._layer, 0  # until all are there
        if layer < before:
            self._room = self._new_room()
        for key, ids in self._seen.items():
            if self._room.has_refused(key) or (layer == before and key in self._room):
                continue
            put_out = self._up_to(layer, forward, ids, self._room.get(key), before)
            if put_out is None:
                self._tried[layer] = False
                break
            self._room.put(key, put_out)
        else:
            if not len(self._room):
                LOG.info(
                    "passes begin at the first layer: there is no room for what is put out before others"
                )
                return False
            self._layer = layer
        if layer not in self._tried:
            self._tried[layer] = self._is_plain(layer, forward, few)
        if not self._tried[layer]:
            LOG.info("passes cannot begin at layer %d: it takes more than what is put out before it", layer)
            self._room, self._layer = self._new_room(), 0
        return self._tried[layer]

    def _plain_way_of_few(self, forward: Forward) -> "_Few":
        """What the base makes of a few tokens, and whether a document's logits need a cache."""
        document = next(iter(self._seen.values()))[:1].to(self._device)
        plain = _hash(forward(document))
        with uncached(self._decoder):
            told = short_cut(partial(forward, document), "a cache is filled")
        few, put_out = document[:, :_FEW], []

        def keep(_module: object, _args: object, output: Any) -> None:
            states = self._states_of(output, few)
            put_out.append(None if states is None else states.clone())

        with ExitStack() as hooks:
            for block in self._blocks:
                hooks.enter_context(block.register_forward_hook(keep))
            logits = _hash(forward(few))
        return _Few(few, tuple(put_out), logits, needs_cache=told is None or _hash(told) != plain)

    @property
    def _device(self) -> "torch.device":
        return next(self._blocks[0].parameters()).device

    def _up_to(
        self, layer: int, forward: Forward, ids: "torch.Tensor", state: "torch.Tensor | None", begin: int
    ) -> "torch.Tensor | None":
        """What the block before a layer puts out; None where that is not one tensor of states."""
        caught: list[Any] = []
        begun = nullcontext() if state is None else self._handing_on(state.to(self._device), begin)
        with begun, ended_behind(self._blocks[layer - 1], caught.append):
            forward(ids.to(self._device))
        return self._states_of(caught[0], ids)

    def _states_of(self, output: Any, ids: "torch.Tensor") -> "torch.Tensor | None":
        """(B, T, d) that a block has put out, if that is all that it puts out."""
        self._tuple = len(output) if isinstance(output, tuple) else None
        states, *rest = output if isinstance(output, tuple) else (output,)
        is_alone = all(one is None for one in rest) and states.shape[:2] == ids.shape
        return states if is_alone and states.is_contiguous() else None

    def _is_plain(self, layer: int, forward: Forward, few: "_Few") -> bool:
        """Whether the base's logits of a few tokens are the plain way's, bit for bit."""
        state = few.put_out[layer - 1]
        if state is None:
            return False
        with self._handing_on(state, layer):
            logits = short_cut(partial(forward, few.ids), f"passes begin before layer {layer}")
        return logits is not None and _hash(logits) == few.logits

    @contextmanager
    def _handing_on(self, state: "torch.Tensor", layer: int) -> Iterator[None]:
        """Within, the blocks before a layer put out ``state``, whatever comes in."""
        output = state if self._tuple is None else (state, *[None] * (self._tuple - 1))
        # A cache is for generation: it costs a likelihood time and memory.
        bare = nullcontext() if self._few is None or self._few.needs_cache else uncached(self._decoder)
        with bare, handing_on(self._blocks[:layer], output):
            yield


def _hash(values: "torch.Tensor") -> bytes:
    import torch

    digest = xxhash.xxh3_128(f"{values.dtype} {tuple(values.shape)}".encode())
    digest.update(values.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.digest()
