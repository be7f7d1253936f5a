"""What passes through SAEs' features under an edit, chunk by chunk of the texts, kept as soon as it is there.

A chunk's streams are held together, and one SAE after another is asked about them. Several processes share
all chunks, each encodes those of its share that are missing, and an interrupted run does none of them twice.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from sae_merge_method.artifacts.layer_diagnosis import SaeSource
from sae_merge_method.attribute.features import Mask, Passed, joined, passed
from sae_merge_method.attribute.streams import PASSES, in_chunks, streams_of
from sae_merge_method.attribute.texts import Text
from sae_merge_method.corpora.batches import Batch
from sae_merge_method.corpora.counting import carries_text
from sae_merge_method.corpora.tokens import special_token_ids
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.progress import Progress, undamaged
from sae_merge_method.files.writing import write_bytes
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.models.devices import free_memory
from sae_merge_method.saes.find import SaeAddress
from sae_merge_method.saes.opening import load_sae
from sae_merge_method.saes.sae import LayerSae
from sae_merge_method.together.workers import Workers

if TYPE_CHECKING:
    import torch

_SOURCES = "saes"
_OF_GPU = 4
"""Of what is free on a GPU SAEs stay in one part of so many, at most: the rest is for encoding and passes."""


class Chunk(NamedTuple):
    """Batches of one text that are read together."""

    text: int
    number: int
    batches: tuple[tuple[int, Batch], ...]
    """With the numbers of their groups."""

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.text}-features-{self.number:05d}.safetensors"


class FeatureChunks:
    """What a donor does through the features of some layers' SAEs on some texts."""

    def __init__(
        self,
        edited: EditedModel,
        texts: Sequence[Text],
        addresses: Sequence[SaeAddress],
        progress: Progress,
        workers: Workers,
        *,
        recompute: bool,
        spare: int,
    ) -> None:
        """Begin with what an interrupted run left.

        Args:
            edited: The base in memory, with one donor.
            texts: The target, then the controls.
            addresses: Of the SAEs, by ascending layer.
            progress: Where chunks are kept.
            workers: This process among all.
            recompute: Compute activations again in the backward pass.
            spare: Bytes that SAEs may stay in memory in, from chunk to chunk; on a GPU no more than a quarter
                of what is free there.
        """
        self._edited, self._texts, self._progress, self._workers = edited, texts, progress, workers
        self._addresses = {address.layer: address for address in addresses}
        self._recompute, self._spare = recompute, spare
        self._kept: dict[int, LayerSae] = {}
        self._rooms: dict[torch.device, int] = {}
        itemsize = edited.model.dtype.itemsize
        self._chunks = [
            Chunk(nth, number, batches)
            for nth, text in enumerate(texts)
            for number, batches in enumerate(
                in_chunks(text.groups, len(self._addresses), edited.model.d_model, itemsize)
            )
        ]

    @property
    def layers(self) -> tuple[int, ...]:
        """Those that have an SAE."""
        return tuple(self._addresses)

    def encode(self) -> None:
        """Encode every chunk that is missing, all processes together."""
        # Shared out first, as measurements are: what is missing differs with when a process looks.
        own = [chunk for chunk in self._workers.share_of(self._chunks) if not self._file(chunk).is_file()]
        if own:
            self._progress.begin()
            passes = PASSES * sum(len(chunk.batches) for chunk in own)
            with tqdm(total=passes, desc="encoding", unit="pass", disable=None) as bar:
                for chunk in own:
                    self._keep(chunk)
                    bar.update(PASSES * len(chunk.batches))
            self._kept.clear()
            self._edited.restore()
        self._workers.wait()

    def sources(self) -> dict[int, SaeSource]:
        """By layer, the SAE that was asked.

        Raises:
            ArtifactError: An interrupted run asked another one.
        """
        written = [self._metadata(chunk) for chunk in self._chunks]
        for chunk, one in zip(self._chunks, written, strict=True):
            if one != written[0]:
                raise ArtifactError(
                    f"{self._file(chunk)} was made with other SAEs than {self._file(self._chunks[0])}: "
                    f"delete {self._progress.folder} and run again"
                )
        return {int(layer): SaeSource.model_validate(one) for layer, one in written[0].items()}

    def passed(self, text: int, layer: int) -> Passed:
        """All that passes through a layer on one text; batches are counted over the whole text."""
        parts = [self._load(chunk, layer) for chunk in self._chunks if chunk.text == text]
        before = accumulate((len(part.group) for part in parts), initial=0)
        return joined(
            [
                part._replace(batch=part.batch + np.int32(first))
                for part, first in zip(parts, before, strict=False)
            ]
        )

    def batches(self, text: int) -> list[Batch]:
        """The batches of a text, as :meth:`passed` counts them."""
        return [batch for chunk in self._chunks if chunk.text == text for _, batch in chunk.batches]

    def _keep(self, chunk: Chunk) -> None:
        from safetensors.numpy import save

        batches = [batch for _, batch in chunk.batches]
        groups = [group for group, _ in chunk.batches]
        model = self._edited.model
        special = special_token_ids(model.tokenizer, *model.configs)
        texts = [_may_count(batch, special) for batch in batches]
        tensors: dict[str, np.ndarray] = {}
        sources: dict[int, object] = {}
        for layer, streams in streams_of(self._edited, batches, self.layers, recompute=self._recompute):
            sae, device = self._sae(layer), self._device(layer)
            through = passed(sae, streams, groups, texts, device)
            tensors |= {f"{layer}.{name}": value for name, value in through._asdict().items()}
            sources[layer] = sae.source.model_dump(mode="json")
        write_bytes(self._file(chunk), save(tensors, {_SOURCES: json.dumps(sources, sort_keys=True)}))

    def _sae(self, layer: int) -> LayerSae:
        """Loaded anew for every chunk, unless there is room for it to stay."""
        kept = self._kept.get(layer)
        if kept is not None:
            return kept
        model, device = self._edited.model, self._device(layer)
        room = self._room(device)  # told before the SAE takes of it
        sae = load_sae(self._addresses[layer], model.d_model, model.dtype, device)
        everywhere = sum(one.encoder_bytes for one in self._kept.values())
        there = sum(one.encoder_bytes for at, one in self._kept.items() if self._device(at) == device)
        if everywhere + sae.encoder_bytes <= self._spare and there + sae.encoder_bytes <= room:
            self._kept[layer] = sae
        return sae

    def _room(self, device: "torch.device") -> int:
        """Bytes of a device that SAEs may stay in: of a GPU, a part of what is free there.

        Asked once a device, when the first SAE comes there: by then model and task vector lie there, and
        torch has taken what passes need.
        """
        if device not in self._rooms:
            on_gpu = device.type == "cuda"
            self._rooms[device] = free_memory(device) // _OF_GPU if on_gpu else self._spare
        return self._rooms[device]

    def _device(self, layer: int) -> "torch.device":
        return next(self._edited.model.blocks[layer].parameters()).device

    def _file(self, chunk: Chunk) -> Path:
        return self._progress.folder / chunk.name

    def _load(self, chunk: Chunk, layer: int) -> Passed:
        from safetensors import safe_open

        path = self._file(chunk)
        with undamaged(path), safe_open(path, "np") as file:
            return Passed(*(file.get_tensor(f"{layer}.{name}") for name in Passed._fields))

    def _metadata(self, chunk: Chunk) -> Mapping[str, object]:
        from safetensors import safe_open

        path = self._file(chunk)
        with undamaged(path), safe_open(path, "np") as file:
            written: Mapping[str, object] = json.loads(file.metadata()[_SOURCES])
            return written


def _may_count(batch: Batch, special: frozenset[int]) -> Mask:
    """(n,) which tokens of a batch, without padding, carry text."""
    rows = zip(batch.ids, batch.attention, strict=True)
    return np.concatenate([carries_text(ids[read], special) for ids, read in rows])
