"""All layers over all documents: forward, encode, sum up by document; nothing is kept by token.

Planned by memory, resumable chunk by chunk, shared between processes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from sae_merge_method.artifacts.layer_diagnosis import SaeSource
from sae_merge_method.artifacts.usage import LayerUsage, Surface
from sae_merge_method.corpora.batches import Batch, make_batches
from sae_merge_method.corpora.token_classes import TOKEN_CLASSES
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.diagnose.layer_encoders import LayerEncoders, load_layer_encoders
from sae_merge_method.diagnose.memory_plan import Plan, Work, make_plan
from sae_merge_method.diagnose.settings import EncodingSettings
from sae_merge_method.diagnose.usage import PartialUsage, TokenLayout, encode_documents
from sae_merge_method.models.devices import matmul_speed, memory_budget, product_dtype
from sae_merge_method.models.residual_stream import forward
from sae_merge_method.saes.find import SaeAddress

if TYPE_CHECKING:
    from sae_merge_method.diagnose.chunk_store import ChunkStore, WholeUsage
    from sae_merge_method.diagnose.sides import Sides
    from sae_merge_method.models.text_model import TextModel
    from sae_merge_method.workers import Workers

BATCHES_PER_CHUNK = 4

Report = Callable[[str], None]
"""Takes a line for the user."""


class Chunk(NamedTuple):
    """A run of batches that is kept, or done again, as a whole."""

    number: int
    batches: tuple[Batch, ...]

    @property
    def documents(self) -> tuple[int, ...]:
        """Places of all its documents, in the order of the batches."""
        return tuple(document for batch in self.batches for document in batch.documents)

    @property
    def tokens(self) -> int:
        """Counted tokens."""
        return sum(int(batch.counted.sum()) for batch in self.batches)


class EncodedLayer(NamedTuple):
    """What all documents use of one layer's SAE."""

    source: SaeSource
    usage: LayerUsage
    """Of the documents of all sides."""
    explained_variance: float
    """Share of the sampled tokens' variance that the SAE reconstructs."""
    surface: Surface
    """What is used of texts with something taken away."""
    beside: Mapping[str, Callable[[], LayerUsage]]
    """Reads what is used of other dictionaries' features, by their names."""


def encode_layers(
    settings: EncodingSettings,
    model: "TextModel",
    addresses: Mapping[int, SaeAddress],
    sides: "Sides",
    store: "ChunkStore",
    workers: "Workers",
    report: Report,
) -> dict[int, EncodedLayer]:
    """Encode every document with every layer's SAE; empty for all processes but the first.

    Args:
        settings: Batches, memory and the like.
        model: The text model.
        addresses: The layers' SAEs, by layer.
        sides: All documents, and the twins of the target's.
        store: What an earlier, interrupted run has left, and where this one leaves its own.
        workers: This process among all.
        report: Told of the plan before work starts.
    """
    labels, twins = sides.labels, sides.twins
    documents = (*sides.documents, *(document for twin in twins for document in twin))
    chunks = make_chunks(documents, settings.batch_tokens)
    side_of = np.concatenate([labels.side, np.full(len(documents) - len(labels.side), -1)])
    plan = _plan(settings, model, addresses, chunks)
    if workers.is_first:
        report(str(plan))
    share = chunks[workers.rank :: workers.size]
    stride = max(1, plan.tokens // settings.variance_tokens)
    kept: dict[int, tuple[SaeSource, dict[str, tuple[str, int]]]] = {}
    total = sum(chunk.tokens for chunk in share) * len(plan.groups)
    # No bar for other processes, or where there is no terminal.
    quiet = None if workers.is_first else True
    with tqdm(total=total, desc="encoding", unit="tok", unit_scale=True, disable=quiet) as bar:
        for group in plan.groups:
            encoders = [load_layer_encoders(settings, addresses[layer], model) for layer in group]
            kept.update({one.sae.layer: (one.sae.source, one.stored()) for one in encoders})
            sweep(model, encoders, share, side_of, stride, store, bar)
            del encoders  # before the next group's encoders come
    workers.wait()
    if not workers.is_first:
        return {}
    by_chunk = [chunk.documents for chunk in chunks]

    def gather(key: str, d_sae: int) -> "WholeUsage":
        return store.gather(key, d_sae, by_chunk)

    return {
        layer: _encoded(source, stored, gather, len(labels.side), twins)
        for layer, (source, stored) in kept.items()
    }


def _encoded(
    source: SaeSource,
    stored: Mapping[str, tuple[str, int]],
    gather: "Callable[[str, int], WholeUsage]",
    n_documents: int,
    twins: Sequence[Sequence[Document]],
) -> EncodedLayer:
    """The documents of all sides apart from the twins, of which the means are kept."""
    whole = gather(*stored[""])

    def read(key: str, d_sae: int) -> LayerUsage:
        return gather(key, d_sae).usage.first(n_documents)

    of_twin = np.repeat(np.arange(len(twins)), [len(twin) for twin in twins])
    twin_or_text = np.concatenate([np.full(n_documents, -1), of_twin])
    means = [whole.usage.mean_over(twin_or_text == nth) for nth in range(len(twins))]
    surface = Surface(
        without=whole.without.astype(np.float32),
        twins=np.array(means, dtype=np.float32).reshape(len(twins), source.d_sae),
    )
    beside = {name: partial(read, *where) for name, where in stored.items() if name}
    return EncodedLayer(source, whole.usage.first(n_documents), whole.explained_variance, surface, beside)


def make_chunks(documents: Sequence[Document], batch_tokens: int) -> tuple[Chunk, ...]:
    """Cut the work into chunks, the same ones whenever the documents are the same."""
    batches = list(make_batches(documents, batch_tokens))
    starts = range(0, len(batches), BATCHES_PER_CHUNK)
    return tuple(
        Chunk(number, tuple(batches[start : start + BATCHES_PER_CHUNK]))
        for number, start in enumerate(starts)
    )


def sweep(
    model: "TextModel",
    encoders: Sequence[LayerEncoders],
    chunks: Sequence[Chunk],
    side_of: npt.NDArray[np.int64],
    variance_stride: int,
    store: "ChunkStore",
    bar: "tqdm[NoReturn]",
) -> None:
    """Encode every chunk with the SAEs of one group, and keep what comes of it.

    Args:
        model: The text model.
        encoders: The group.
        chunks: The work, or this process' share of it.
        side_of: (N,) the side of each document, -1 for a twin.
        variance_stride: Reconstruct every so many-th token for the explained variance.
        store: Where finished chunks are kept; what is there is not encoded again.
        bar: Told of tokens done.
    """
    for chunk in chunks:
        # The SAE's usage is kept last: where it is, the others' are.
        missing = {one.sae.layer: one for one in encoders if not store.has(one.sae.key, chunk.number)}
        if missing:
            for layer, parts in _encode(model, missing, chunk, side_of, variance_stride).items():
                of_sae, *of_others = zip(*parts, strict=True)
                for name, part in zip(missing[layer].beside, of_others, strict=True):
                    if not store.has(missing[layer].key(name), chunk.number):
                        store.save(missing[layer].key(name), chunk.number, part)
                store.save(missing[layer].sae.key, chunk.number, of_sae)
        bar.update(chunk.tokens)


def _encode(
    model: "TextModel",
    encoders: Mapping[int, LayerEncoders],
    chunk: Chunk,
    side_of: npt.NDArray[np.int64],
    stride: int,
) -> dict[int, list[tuple[PartialUsage, ...]]]:
    """By layer, its usage of each batch of a chunk: by the SAE, then by the dictionaries beside it."""
    parts: dict[int, list[tuple[PartialUsage, ...]]] = {layer: [] for layer in sorted(encoders)}
    for batch in chunk.batches:
        tokens, sides = batch.counted.sum(axis=1), side_of[list(batch.documents)]
        layout = TokenLayout(
            tokens=tokens,
            sampled=_every(stride, batch.documents, tokens) & np.repeat(sides >= 0, tokens),
            classes=batch.classes,
            n_classes=len(TOKEN_CLASSES),
            sides=sides,
            n_sides=int(side_of.max()) + 1,
        )
        use = {
            layer: partial(
                encode_documents,
                encoders[layer].sae.encoder,
                layout=layout,
                beside=tuple(encoders[layer].beside.values()),
            )
            for layer in parts
        }
        for layer, part in forward(model, batch, use).items():
            parts[layer].append(part)
    return parts


def _every(stride: int, documents: Sequence[int], tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(T,) every ``stride``-th counted token, from another start in each document."""
    positions = [np.arange(start, start + count) for start, count in zip(documents, tokens, strict=True)]
    return np.asarray(np.concatenate(positions) % stride == 0)


def _plan(
    settings: EncodingSettings,
    model: "TextModel",
    addresses: Mapping[int, SaeAddress],
    chunks: Sequence[Chunk],
) -> Plan:
    one = load_layer_encoders(settings, next(iter(addresses.values())), model)
    work = Work(
        layers=tuple(addresses),
        encoder_bytes=one.nbytes,
        d_model=model.d_model,
        d_sae=one.sae.source.d_sae,
        batch_tokens=settings.batch_tokens,
        tokens=sum(chunk.tokens for chunk in chunks),
        model_parameters=sum(weight.numel() for weight in model.blocks.parameters()),
    )
    speed = matmul_speed(product_dtype(model.dtype, model.device), model.device)
    return make_plan(work, memory_budget(settings.memory, model.device), speed)
