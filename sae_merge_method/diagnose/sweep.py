"""All layers over all documents: forward, encode, sum up by document; nothing is kept by token.

Planned by memory, resumable chunk by chunk, shared between processes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from sae_merge_method.artifacts.diagnosis import SaeSource
from sae_merge_method.artifacts.usage import LayerUsage
from sae_merge_method.corpora.tokens import Batch, Document, make_batches
from sae_merge_method.diagnose.memory_plan import Plan, Work, make_plan, matmul_speed, memory_budget
from sae_merge_method.diagnose.residual_stream import listen
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.diagnose.usage import BatchUsage, LayerCollector, join, use_batch
from sae_merge_method.saes.encoders import product_dtype
from sae_merge_method.saes.find import SaeAddress
from sae_merge_method.saes.sae import LayerSae, load_sae

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.chunk_store import Progress
    from sae_merge_method.diagnose.model import TextModel
    from sae_merge_method.diagnose.workers import Workers

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


Report = Callable[[str], None]
"""Takes a line for the user."""


class HeardLayer(NamedTuple):
    """What all documents used of one layer's SAE."""

    source: SaeSource
    usage: LayerUsage
    explained_variance: float


def hear(
    settings: DiagnoseSettings,
    model: "TextModel",
    addresses: Sequence[SaeAddress],
    documents: Sequence[Document],
    progress: "Progress",
    workers: "Workers",
    report: Report,
) -> dict[int, HeardLayer]:
    """Hear every document with every layer's SAE; empty for all processes but the first.

    Args:
        settings: Batches, memory and the like.
        model: The text model.
        addresses: The layers' SAEs.
        documents: All documents.
        progress: What an earlier, interrupted run has left, and where this one leaves its own.
        workers: This process among all.
        report: Told of the plan before work starts.
    """
    chunks = make_chunks(documents, settings.batch_tokens)
    plan = _plan(settings, model, addresses, chunks)
    if workers.is_first:
        report(str(plan))
    mine = chunks[workers.rank :: workers.size]
    stride = max(1, plan.tokens // settings.variance_tokens)
    by_layer = {address.layer: address for address in addresses}
    keys: dict[int, tuple[str, SaeSource]] = {}
    total = sum(chunk.tokens for chunk in mine) * len(plan.groups)
    # No bar for other processes, or where there is no terminal.
    quiet = None if workers.is_first else True
    with tqdm(total=total, desc="listening", unit="tok", unit_scale=True, disable=quiet) as bar:
        for group in plan.groups:
            saes = [load_beside(by_layer[layer], model) for layer in group]
            keys.update({sae.layer: (sae.key, sae.source) for sae in saes})
            hear_chunks(model, saes, mine, stride, progress, bar)
            del saes  # before the next group's encoders come
    workers.wait()
    if not workers.is_first:
        return {}
    heard = {}
    for layer, (key, source) in keys.items():
        collector = collect(key, chunks, len(documents), progress)
        heard[layer] = HeardLayer(source, collector.layer_usage(source.d_sae), collector.explained_variance())
    return heard


def load_beside(address: SaeAddress, model: "TextModel") -> LayerSae:
    """Load an SAE onto the device of its layer: a model may be spread over several."""
    device = next(model.blocks[address.layer].parameters()).device
    return load_sae(address, model.d_model, model.dtype, device)


def _plan(
    settings: DiagnoseSettings, model: "TextModel", addresses: Sequence[SaeAddress], chunks: Sequence[Chunk]
) -> Plan:
    one = load_beside(addresses[0], model)
    work = Work(
        layers=[address.layer for address in addresses],
        encoder_bytes=one.encoder_bytes,
        d_model=model.d_model,
        d_sae=one.source.d_sae,
        batch_tokens=settings.batch_tokens,
        tokens=sum(chunk.tokens for chunk in chunks),
        model_parameters=sum(weight.numel() for weight in model.blocks.parameters()),
    )
    speed = matmul_speed(product_dtype(model.dtype, model.device), model.device)
    return make_plan(work, memory_budget(settings.memory, model.device), speed)
