"""Passes over the documents: forward, encode, sum up by document. Nothing is kept by token.

One pass hears the layers of one group; what was heard before an interruption is not heard again.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.listen import listen
from sae_merge_method.diagnose.tokens import Batch, Document, make_batches
from sae_merge_method.diagnose.usage import BatchUsage, LayerCollector, join, use_batch

if TYPE_CHECKING:
    import torch
    from tqdm import tqdm

    from sae_merge_method.diagnose.model import TextModel
    from sae_merge_method.diagnose.progress import Progress
    from sae_merge_method.diagnose.saes import LayerSae

BATCHES_PER_CHUNK = 4


class Chunk(NamedTuple):
    """A run of batches that is kept, or done again, as a whole."""

    number: int
    batches: tuple[Batch, ...]
    documents: tuple[int, ...]
    """Places of all its documents, in the order of the batches."""
    tokens: int
    """Counted tokens."""


def make_chunks(documents: Sequence[Document], batch_tokens: int) -> tuple[Chunk, ...]:
    """Cut the work into chunks, the same ones whenever the documents are the same."""
    batches = list(make_batches(documents, batch_tokens))
    starts = range(0, len(batches), BATCHES_PER_CHUNK)
    parts = [tuple(batches[start : start + BATCHES_PER_CHUNK]) for start in starts]
    return tuple(
        Chunk(
            number=number,
            batches=part,
            documents=tuple(place for batch in part for place in batch.documents),
            tokens=sum(int(batch.counted.sum()) for batch in part),
        )
        for number, part in enumerate(parts)
    )


def hear_chunks(
    model: "TextModel",
    saes: "Sequence[LayerSae]",
    chunks: Sequence[Chunk],
    variance_stride: int,
    progress: "Progress",
    bar: "tqdm[NoReturn]",
) -> None:
    """Hear every chunk with the SAEs of one group, and keep what was heard.

    Args:
        model: The text model.
        saes: The group.
        chunks: The work, or this process' share of it.
        variance_stride: Reconstruct every so many-th token for the explained variance.
        progress: Where finished chunks are kept.
        bar: Told of tokens done.
    """
    for chunk in chunks:
        missing = {sae.layer: sae for sae in saes if not progress.has(sae.key, chunk.number)}
        if missing:
            for layer, usage in _hear(model, missing, chunk, variance_stride).items():
                progress.save(missing[layer].key, chunk.number, usage)
        bar.update(chunk.tokens)


def collect(key: str, chunks: Sequence[Chunk], n_documents: int, progress: "Progress") -> LayerCollector:
    """One layer's usage of all chunks, in the order of the documents."""
    collector = LayerCollector(n_documents)
    for chunk in chunks:
        collector.add(chunk.documents, progress.load(key, chunk.number))
    return collector


def _hear(
    model: "TextModel", saes: "Mapping[int, LayerSae]", chunk: Chunk, stride: int
) -> dict[int, BatchUsage]:
    heard: dict[int, list[BatchUsage]] = {layer: [] for layer in saes}
    for batch in chunk.batches:
        counts = batch.counted.sum(axis=1)
        sampled = _every(stride, batch, counts)

        def hear(
            layer: int,
            residual: "torch.Tensor",
            counts: npt.NDArray[np.int64] = counts,
            sampled: npt.NDArray[np.bool_] = sampled,
        ) -> None:
            heard[layer].append(use_batch(saes[layer].encoder, residual, counts, sampled))

        listen(model, batch, sorted(saes), hear)
    return {layer: join(parts) for layer, parts in heard.items()}


def _every(stride: int, batch: Batch, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(T,) every ``stride``-th counted token, from another start in each document."""
    positions = [
        np.arange(place, place + count) for place, count in zip(batch.documents, counts, strict=True)
    ]
    return np.asarray(np.concatenate(positions) % stride == 0)
