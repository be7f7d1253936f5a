"""The decoder layers of a loaded model, written over with the bytes of an edited checkpoint and put back.

A loader casts what a file holds to what the model computes in, and does no more: so a tensor that is the
cast of its file's bytes may take the cast of other bytes in their place, and the model is then the one that
would be loaded from those. Which tensors are such is looked up bit by bit; what transformers keeps in
another form (fused, tied, transposed) is left alone, and named.

Nothing is kept in memory beside the model: what is put back is read from the files again, and the whole
model is held against its hashes when it was loaded. Which bytes an edit has is the affair of who computes
it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.edit_report import TensorReport
from sae_merge_method.errors import ModelError
from sae_merge_method.files.hashing import Hasher, Hashes
from sae_merge_method.loaded.text_model import find_blocks
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.dtypes import DTYPE_NAMES
from sae_merge_method.models.headers import FileStamp, TensorEntry
from sae_merge_method.models.reading import WeightFiles, pieces
from sae_merge_method.models.tensor_names import LayerPart

if TYPE_CHECKING:
    import torch

_BYTES = 1 << 24
"""Read and written at once."""

Into = Callable[[TensorEntry], Callable[[memoryview, int], None]]
"""From a tensor of the files to what takes its new bytes, and where in the tensor they begin."""


class SwappedLayers:
    """One loaded model, which of its layers' tensors may be written over, and the hashes of all.

    Its layers hold an edit's bytes within :meth:`swapped`, and the base's before and after it.
    """

    def __init__(self, model: Any, checkpoint: Checkpoint) -> None:
        """Hash the loaded model, and hold each tensor of its layers against its file.

        Args:
            model: A causal language model as transformers has loaded it, with or without a vision tower.
            checkpoint: Its files.

        Raises:
            ModelError: It has no decoder blocks where its files have layers.
            MergeError: A file is not the one whose header was read.
        """
        self.checkpoint = checkpoint
        self._model = model
        self._loaded = dict(_hashes(model))
        self._live: dict[str, torch.Tensor] = {}
        self.decoder: torch.nn.Module = model.get_decoder()
        self.blocks: Sequence[torch.nn.Module] = find_blocks(
            str(checkpoint.folder), self.decoder, checkpoint.n_layers
        )
        live = _by_part(model, self.blocks)
        parts = {entry.name: part for part, entry in checkpoint.layer_tensors.items()}
        hashes = {}
        with WeightFiles([checkpoint]) as files:
            for name, entry in checkpoint.tensors.items():
                tensor = live.get(parts[name]) if name in parts else None
                hashes[name], is_cast = _held_against(files, entry, tensor)
                if tensor is not None and is_cast:
                    self._live[name] = tensor
        self.hashes: Mapping[str, Hashes] = hashes
        """Of every tensor's bytes in the files, without sha256."""
        self.is_intact = True
        """Whether the model is known to be what was loaded."""

    def is_of(self, checkpoint: Checkpoint) -> bool:
        """Whether another look at a checkpoint's files found those that the model was loaded from."""
        return _stamps(checkpoint) == _stamps(self.checkpoint)

    @contextmanager
    def swapped(self, names: Collection[str]) -> Iterator[Into]:
        """Yield what new bytes of tensors are written with; afterwards the model is what it was.

        Bytes of a tensor that the model does not hold as its file does go nowhere; see :meth:`lost`.

        Args:
            names: The tensors that may be written, by their names in the files.

        Raises:
            ModelError: The model is not bit for bit what it was; the message names the tensor.
            MergeError: A file is not the one whose header was read.
        """
        self.is_intact = False
        try:
            yield self._into
        finally:
            self._put_back([self.checkpoint.tensors[name] for name in names if name in self._live])
            self.is_intact = True

    def lost(self, written: Iterable[TensorReport]) -> list[str]:
        """Of tensors that were written, those that went nowhere although their bytes are new."""
        return [
            tensor.name
            for tensor in written
            if tensor.name not in self._live and tensor.xxh3 != self.hashes[tensor.name].xxh3
        ]

    def _into(self, entry: TensorEntry) -> Callable[[memoryview, int], None]:
        live = self._live.get(entry.name)
        return (lambda data, first: None) if live is None else _writer(live, entry)

    def _put_back(self, entries: Iterable[TensorEntry]) -> None:
        with WeightFiles([self.checkpoint]) as files:
            for entry in entries:
                write = self._into(entry)
                for first, data in _read(files, entry):
                    write(data, first)
        for name, digest in _hashes(self._model):
            if self._loaded.get(name) != digest:
                raise ModelError(
                    f"{name} of the loaded {self.checkpoint.folder} is not what it was before it was edited: "
                    "what was measured since cannot be trusted"
                )


def _stamps(checkpoint: Checkpoint) -> dict[Path, FileStamp]:
    return {file.resolve(): stamp for file, stamp in checkpoint.stamps.items()}


def _by_part(model: Any, blocks: "Sequence[torch.nn.Module]") -> "dict[LayerPart, torch.Tensor]":
    """What the blocks hold and save, by layer and part; what several places share belongs to none."""
    seen: dict[int, int] = {}
    for tensor in model.state_dict(keep_vars=True).values():
        seen[tensor.data_ptr()] = seen.get(tensor.data_ptr(), 0) + 1
    return {
        LayerPart(layer, name): tensor.data
        for layer, block in enumerate(blocks)
        for name, tensor in block.state_dict(keep_vars=True).items()
        if seen.get(tensor.data_ptr()) == 1
    }


def _held_against(files: WeightFiles, entry: TensorEntry, live: "torch.Tensor | None") -> tuple[Hashes, bool]:
    """Hashes of a tensor's file, and whether the loaded one is its cast, bit for bit."""
    alike = (
        live is not None
        and tuple(live.shape) == entry.shape
        and live.is_contiguous()
        and entry.dtype in DTYPE_NAMES
    )
    hasher, seen = Hasher(with_sha256=False), 0
    flat = live.view(-1) if live is not None and alike else None
    for _, data in _read(files, entry):
        hasher.update(data)
        if flat is not None:
            numbers = _numbers(data, entry)
            part = flat[seen : seen + len(numbers)]
            alike = alike and _bits(numbers.to(part.device, part.dtype)).equal(_bits(part))
            seen += len(numbers)
    return hasher.hashes(), alike


def _writer(live: "torch.Tensor", entry: TensorEntry) -> Callable[[memoryview, int], None]:
    import torch

    flat = live.view(-1)
    if live.device.type == "cpu" and live.dtype == getattr(torch, DTYPE_NAMES[entry.dtype]):
        return partial(_write_bytes, _bits(flat).numpy())

    def write(data: memoryview, first: int) -> None:
        numbers = _numbers(data, entry)
        begin = first // numbers.element_size()
        flat[begin : begin + len(numbers)].copy_(numbers)

    return write


def _write_bytes(into: npt.NDArray[np.uint8], data: memoryview, first: int) -> None:
    # Not by torch, which starts threads of its own beside each of ours.
    into[first : first + data.nbytes] = np.frombuffer(data, np.uint8)


def _read(files: WeightFiles, entry: TensorEntry) -> Iterator[tuple[int, memoryview]]:
    """A tensor's bytes in pieces, each with the number of its first, in memory that the next overwrites."""
    room = np.empty(min(_BYTES, entry.nbytes), np.uint8)
    for first, size in pieces(entry.nbytes, _BYTES):
        files.read(entry, first, room[:size].data)
        yield first, room[:size].data


def _numbers(data: memoryview, entry: TensorEntry) -> "torch.Tensor":
    import torch

    return torch.frombuffer(data, dtype=getattr(torch, DTYPE_NAMES[entry.dtype]))


def _bits(values: "torch.Tensor") -> "torch.Tensor":
    import torch

    return values.contiguous().view(-1).view(torch.uint8)


def _hashes(model: "torch.nn.Module") -> Iterator[tuple[str, str]]:
    """XXH3-128 of every tensor that a model saves, by its name there."""
    import torch

    for name, tensor in model.state_dict().items():
        hasher = Hasher(with_sha256=False)
        for piece in torch.split(_bits(tensor), _BYTES):
            hasher.update(piece.cpu().numpy().data)
        yield name, hasher.hashes().xxh3
