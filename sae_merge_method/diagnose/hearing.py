"""All layers over all documents: planned by memory, resumable, shared between processes."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tqdm import tqdm

from sae_merge_method.artifacts.diagnosis import SaeSource
from sae_merge_method.artifacts.usage import LayerUsage
from sae_merge_method.diagnose.encoder import product_dtype
from sae_merge_method.diagnose.passes import Chunk, collect, hear_chunks, make_chunks
from sae_merge_method.diagnose.plan import Plan, Work, make_plan, matmul_speed, memory_budget
from sae_merge_method.diagnose.saes import LayerSae, SaeAddress, load_sae
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.diagnose.tokens import Document

if TYPE_CHECKING:
    from sae_merge_method.diagnose.model import TextModel
    from sae_merge_method.diagnose.progress import Progress
    from sae_merge_method.diagnose.workers import Workers

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
