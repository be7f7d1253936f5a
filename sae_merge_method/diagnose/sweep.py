"""All layers, or parts of layers, over all documents: forward, encode, sum up by document.

Nothing is kept by token. Planned by memory, resumable chunk by chunk, shared between processes.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from sae_merge_method.artifacts.layer_diagnosis import SaeSource
from sae_merge_method.diagnose.batch_usage import BatchUsage, held_bytes
from sae_merge_method.diagnose.chunks import Chunk, lay_out, make_chunks
from sae_merge_method.diagnose.costs import (
    Costs,
    encode_seconds,
    forward_seconds,
    score_seconds,
    timed_load,
)
from sae_merge_method.diagnose.encoded_layer import EncodedLayer, put_together
from sae_merge_method.diagnose.layer_by_layer import cores_used
from sae_merge_method.diagnose.layer_encoders import LayerEncoders, load_layer_encoders
from sae_merge_method.diagnose.memory_plan import Plan, Work, make_plan
from sae_merge_method.diagnose.scales import measure_scales, sample_documents
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.diagnose.sited_saes import SitedSae
from sae_merge_method.diagnose.usage import PartialUsage, Reading
from sae_merge_method.foretold import Foretold
from sae_merge_method.layers import Unit, by_depth
from sae_merge_method.loaded.residual_stream import forward_at
from sae_merge_method.models.devices import memory_budget

if TYPE_CHECKING:
    from sae_merge_method.diagnose.chunk_store import ChunkStore, WholeUsage
    from sae_merge_method.diagnose.scales import CountingRule, LayerScale
    from sae_merge_method.diagnose.sides import Sides
    from sae_merge_method.loaded.text_model import TextModel
    from sae_merge_method.together.workers import Workers

Report = Callable[[str], None]
"""Takes a line for the user."""


def encode_layers(
    settings: DiagnoseSettings,
    model: "TextModel",
    saes: Mapping[Unit, SitedSae],
    sides: "Sides",
    store: "ChunkStore",
    workers: "Workers",
    report: Report,
    foretold: Foretold,
) -> dict[Unit, EncodedLayer]:
    """Encode every document with every SAE; empty for all processes but the first.

    Args:
        settings: Batches, memory and the like; of the scoring, what it takes is planned.
        model: The text model.
        saes: The SAEs, by the layer or part of one that they tell of.
        sides: All documents, and the twins of the target's.
        store: What an earlier, interrupted run has left, and where this one leaves its own.
        workers: This process among all.
        report: Told of the plan before work starts.
        foretold: Filled in with what the plan expects of the whole run.
    """
    labels, twins, documents = sides.labels, sides.twins, sides.encoded
    chunks = make_chunks(documents, settings.batch_tokens)
    side_of = np.concatenate([labels.side, np.full(len(documents) - len(labels.side), -1)])
    scales = _scales(settings, model, saes, sides, store, workers)
    rules = {layer: scale.rule(settings.bound) for layer, scale in scales.items()}
    plan = _plan(settings, model, saes, chunks, sides, scales)
    foretold.seconds, foretold.nbytes = plan.seconds, plan.bytes
    if workers.is_first:
        report(str(plan))
    share = workers.share_of(chunks)
    stride = max(1, plan.tokens // settings.variance_tokens)
    kept: dict[Unit, tuple[SaeSource, dict[str, tuple[str, int]]]] = {}
    total = sum(chunk.tokens for chunk in share) * len(plan.groups)
    # No bar for other processes, or where there is no terminal.
    quiet = None if workers.is_first else True
    with tqdm(total=total, desc="encoding", unit="tok", unit_scale=True, disable=quiet) as bar:
        for group in plan.groups:
            encoders = [load_layer_encoders(settings, saes[layer], model) for layer in group]
            kept.update({one.unit: (one.sae.source, one.stored()) for one in encoders})
            sweep(model, encoders, share, side_of, rules, stride, store, bar)
            del encoders  # before the next group's encoders come
    workers.wait()
    if not workers.is_first:
        return {}
    by_chunk = [chunk.documents for chunk in chunks]

    def gather(key: str, d_sae: int) -> "WholeUsage":
        return store.gather(key, d_sae, by_chunk)

    def peaks(key: str) -> npt.NDArray[np.int64]:
        return store.peaks(key, by_chunk)

    return {
        layer: put_together(source, scales[layer], stored, gather, peaks, len(labels.side), twins)
        for layer, (source, stored) in kept.items()
    }


def _scales(
    settings: DiagnoseSettings,
    model: "TextModel",
    saes: Mapping[Unit, SitedSae],
    sides: "Sides",
    store: "ChunkStore",
    workers: "Workers",
) -> "dict[Unit, LayerScale]":
    """What tokens are held against at each place: measured once, by the first process, and read by all."""
    missing = {sited.site: unit for unit, sited in saes.items() if store.scale(unit) is None}
    if missing and workers.is_first:
        sample = sample_documents(sides.documents, sides.labels)
        for site, scale in measure_scales(model, list(missing), sample, settings.batch_tokens).items():
            store.keep_scale(missing[site], scale)
    workers.wait()
    measured = {unit: store.scale(unit) for unit in saes}
    return {layer: scale for layer, scale in measured.items() if scale is not None}


def sweep(
    model: "TextModel",
    encoders: Sequence[LayerEncoders],
    chunks: Sequence[Chunk],
    side_of: npt.NDArray[np.int64],
    rules: "Mapping[Unit, CountingRule]",
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
        rules: By layer, or part of one, which tokens count.
        variance_stride: Reconstruct every so many-th token for the explained variance.
        store: Where finished chunks are kept; what is there is not encoded again.
        bar: Told of tokens done.
    """
    # One chunk is written while the next is encoded.
    with ThreadPoolExecutor(1, thread_name_prefix="keeping") as keeper:
        kept: Future[None] | None = None
        for chunk in chunks:
            missing = {one.unit: one for one in encoders if not store.has(one.key(), chunk.number)}
            if missing:
                usage = _encode(model, missing, chunk, side_of, rules, variance_stride)
                if kept is not None:
                    kept.result()
                kept = keeper.submit(_keep, store, chunk.number, missing, usage)
                del usage  # as large as the next one's, and soon written
            bar.update(chunk.tokens)
        if kept is not None:
            kept.result()


def _keep(
    store: "ChunkStore",
    chunk: int,
    encoders: Mapping[Unit, LayerEncoders],
    usage: Mapping[Unit, Sequence[tuple[PartialUsage, ...]]],
) -> None:
    """Write what a chunk uses. The SAE's usage comes last: where it is, the others' are."""
    for unit, parts in usage.items():
        of_sae, *of_others = zip(*parts, strict=True)
        for name, part in zip(encoders[unit].beside, of_others, strict=True):
            if not store.has(encoders[unit].key(name), chunk):
                store.save(encoders[unit].key(name), chunk, part)
        store.save(encoders[unit].key(), chunk, of_sae)


def _encode(
    model: "TextModel",
    encoders: Mapping[Unit, LayerEncoders],
    chunk: Chunk,
    side_of: npt.NDArray[np.int64],
    rules: "Mapping[Unit, CountingRule]",
    stride: int,
) -> dict[Unit, list[tuple[PartialUsage, ...]]]:
    """By layer, its usage of each batch of a chunk: by the SAE, then by the dictionaries beside it."""
    parts: dict[Unit, list[tuple[PartialUsage, ...]]] = {unit: [] for unit in sorted(encoders, key=by_depth)}
    readings = {
        unit: Reading(one.sae.encoder, rules[unit], f"layer {unit}", tuple(one.beside.values()))
        for unit, one in encoders.items()
    }
    for batch in chunk.batches:
        usage = BatchUsage(lay_out(batch, side_of, stride))
        use = {one.site: partial(usage.read, unit, readings[unit]) for unit, one in encoders.items()}
        forward_at(model, batch, use)
        for unit, part in usage.told().items():
            parts[unit].append(part)
    return parts


def _plan(
    settings: DiagnoseSettings,
    model: "TextModel",
    saes: Mapping[Unit, SitedSae],
    chunks: Sequence[Chunk],
    sides: "Sides",
    scales: "Mapping[Unit, LayerScale]",
) -> Plan:
    # One of each kind of place: encoders differ with the width of what they read, and the largest counts.
    kinds = {sited.site.hook: sited for sited in reversed(list(saes.values()))}
    tried = [timed_load(partial(load_layer_encoders, settings, sited, model)) for sited in kinds.values()]
    one, load, libraries = max(tried, key=lambda each: each[0].nbytes)
    batches = [batch for chunk in chunks for batch in chunk.batches]
    costs = Costs(
        load,
        forward_seconds(model, batches[len(batches) // 2]),
        encode_seconds(model, one, scales[one.unit]),
        score_seconds(sides.labels, settings, len(one.beside)),
        libraries,
    )
    work = Work(
        layers=tuple(saes),
        encoder_bytes=one.nbytes,
        d_model=model.d_model,
        d_sae=one.sae.source.d_sae,
        d_mlp=int(getattr(model.configs[-1], "intermediate_size", 0) or 4 * model.d_model),
        # A document that is longer is a batch of its own.
        batch_tokens=max(settings.batch_tokens, *(batch.ids.size for batch in batches)),
        tokens=sum(chunk.tokens for chunk in chunks),
        read_tokens=sum(batch.ids.size for batch in batches),
        documents=len(sides.labels.side),
        cores=cores_used(),
        held_bytes=held_bytes(one, max(len(batch.documents) for batch in batches), model.device),
    )
    return make_plan(work, memory_budget(settings.memory, model.device), costs)
