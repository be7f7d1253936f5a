"""What a diagnosis costs: every step is done once, on a little, and timed, before the work is planned.

Speeds of a machine's matrix products say little of a run: loading, counting and shuffles take as long. What
is measured here is what will run: the model on a few documents, one layer's encoders on as many tokens, the
scoring of one layer's usage. Activations and usage are made up, since neither is known yet.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import psutil

from sae_merge_method.artifacts.layer_usage import LayerUsage, pack_layer
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.corpora.batches import Batch
from sae_merge_method.diagnose.asked import Ask
from sae_merge_method.diagnose.batch_usage import BatchUsage
from sae_merge_method.diagnose.document_matrices import document_matrices
from sae_merge_method.diagnose.estimation import estimates, samples_for
from sae_merge_method.diagnose.layer_encoders import LayerEncoders
from sae_merge_method.diagnose.other_scores import OtherWays
from sae_merge_method.diagnose.scales import LayerScale
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES
from sae_merge_method.diagnose.token_layout import TokenLayout
from sae_merge_method.diagnose.usage import Reading
from sae_merge_method.geometry.one_thread import one_torch_thread
from sae_merge_method.loaded.residual_stream import forward

if TYPE_CHECKING:
    from sae_merge_method.loaded.text_model import TextModel

_TOKENS = 256
"""Tokens of the trial."""
_FEATURES = 512
"""Features of the usage that is scored on trial: scoring takes as much longer as there are more, and what it
does once a layer is little beside so many."""
_DOCUMENTS = 8


class Costs(NamedTuple):
    """Seconds and bytes of the steps."""

    load: float
    """Seconds to load one layer's encoders."""
    forward: float
    """Seconds a token that the model reads, through all its blocks."""
    encode: float
    """Seconds a counted token and layer, other dictionaries included."""
    score: float
    """Seconds a layer and feature of the SAE on one core, other dictionaries included."""
    libraries: int
    """Bytes of what was imported to read SAEs."""


def timed_load(load: Callable[[], LayerEncoders]) -> tuple[LayerEncoders, float, int]:
    """Load one layer's encoders twice.

    Returns:
        The encoders, the seconds that the second load took, and the bytes by which the first one made the
        process grow beside them: libraries that are imported when they are needed.
    """
    process = psutil.Process()
    before = process.memory_info().rss
    load()
    start = time.perf_counter()
    encoders = load()
    seconds = time.perf_counter() - start
    grown = process.memory_info().rss - before
    return encoders, seconds, max(0, grown - 2 * encoders.nbytes)


def forward_seconds(model: "TextModel", batch: Batch) -> float:
    """Seconds a token that the model reads.

    Args:
        model: The text model.
        batch: Of the documents; its first ones are read.
    """
    rows = max(1, _TOKENS // batch.ids.shape[1])
    few = batch._replace(ids=batch.ids[:rows], attention=batch.attention[:rows], counted=batch.counted[:rows])
    last = len(model.blocks) - 1
    return (
        _seconds(lambda: forward(model, few, {last: lambda residual: float(residual.sum())})) / few.ids.size
    )


def encode_seconds(model: "TextModel", encoders: LayerEncoders, scale: LayerScale) -> float:
    """Seconds a token to encode one layer with the SAE and what is beside it."""
    import torch

    layer = model.blocks[encoders.site.layer]
    device, d = next(layer.parameters()).device, len(scale.mean)
    noise = torch.randn(_TOKENS, d, generator=torch.Generator().manual_seed(0))
    residual = (torch.from_numpy(scale.mean) + noise * scale.norm / d**0.5).to(device, model.dtype)
    layout = TokenLayout(
        tokens=np.full(_DOCUMENTS, _TOKENS // _DOCUMENTS),
        ids=np.zeros(_TOKENS, dtype=np.int64),
        places=np.arange(_TOKENS) % (_TOKENS // _DOCUMENTS),
        sampled=np.zeros(_TOKENS, dtype=np.bool_),
        classes=np.zeros(_TOKENS, dtype=np.uint32),
        n_classes=0,
        sides=np.zeros(_DOCUMENTS, dtype=np.int64),
        n_sides=1,
    )
    beside, where = tuple(encoders.beside.values()), f"layer {encoders.unit}"
    reading = Reading(encoders.sae.encoder, scale.rule(None), where, beside)

    def encode() -> None:
        usage = BatchUsage(layout)
        usage.read(encoders.unit, reading, residual)
        usage.told()

    return _seconds(encode) / _TOKENS


def score_seconds(documents: Documents, settings: ScoringSettings, dictionaries: int) -> float:
    """Seconds a layer and feature to score what all documents use, by every score.

    Args:
        documents: Of all sides.
        settings: The score, and the numbers of draws.
        dictionaries: How many others are scored beside the SAE.
    """
    usage = _made_up(len(documents.side))
    score = SCORES[settings.score]
    samples = [samples_for(score, documents, control, settings) for control in documents.controls]
    others = OtherWays(documents, settings, samples)
    with one_torch_thread():
        start = time.perf_counter()
        matrices = document_matrices(usage, documents)
        estimates(matrices, [*(Ask(score, of_control) for of_control in samples), *others.asked()])
        scored = time.perf_counter()
        for _ in range(min(1, dictionaries)):
            others.by_mean_usage(usage)
        return (scored - start + dictionaries * (time.perf_counter() - scored)) / _FEATURES


def _made_up(documents: int) -> LayerUsage:
    """Usage in which every document uses every feature."""
    random = np.random.default_rng(0)
    count = documents * _FEATURES
    return pack_layer(
        _FEATURES,
        np.full(documents, _TOKENS),
        np.full(documents, _FEATURES),
        np.tile(np.arange(_FEATURES), documents),
        random.exponential(size=count),
        np.ones(count, dtype=np.int64),
    )


def _seconds(work: Callable[[], object]) -> float:
    """Of the second time, as the first may have to prepare."""
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
