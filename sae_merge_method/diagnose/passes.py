"""One pass over the documents: forward, encode, sum up by document. Nothing is kept by token."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from sae_merge_method.diagnose.listen import listen
from sae_merge_method.diagnose.tokens import Batch, Document, make_batches
from sae_merge_method.diagnose.usage import LayerCollector, use_batch

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.encoder import Encoder
    from sae_merge_method.diagnose.model import TextModel


def listen_to_all(
    model: "TextModel",
    encoders: Mapping[int, "Encoder"],
    documents: Sequence[Document],
    batch_tokens: int,
    variance_tokens: int,
) -> dict[int, LayerCollector]:
    """Hear every document once with the SAEs of some layers.

    Args:
        model: The text model.
        encoders: SAE by layer.
        documents: All documents of both corpora.
        batch_tokens: Tokens that go through the model together, with padding.
        variance_tokens: About how many tokens are reconstructed for the explained variance.

    Returns:
        By layer, what the documents used, in the order of ``documents``.
    """
    collectors = {layer: LayerCollector(len(documents), model.d_model) for layer in encoders}
    total = sum(int(document.counted.sum()) for document in documents)
    stride = max(1, total // variance_tokens)
    with tqdm(total=total, desc="listening", unit="token", unit_scale=True, disable=None) as progress:
        for batch in make_batches(documents, batch_tokens):
            counts = batch.counted.sum(axis=1)
            _hear_batch(model, encoders, collectors, batch, counts, _every(stride, batch, counts))
            progress.update(int(counts.sum()))
    return collectors


def _hear_batch(
    model: "TextModel",
    encoders: Mapping[int, "Encoder"],
    collectors: Mapping[int, LayerCollector],
    batch: Batch,
    counts: npt.NDArray[np.int64],
    sampled: npt.NDArray[np.bool_],
) -> None:
    def hear(layer: int, residual: "torch.Tensor") -> None:
        collectors[layer].add(batch.documents, use_batch(encoders[layer], residual, counts, sampled))

    listen(model, batch, sorted(encoders), hear)


def _every(stride: int, batch: Batch, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(T,) every ``stride``-th counted token, from another start in each document."""
    positions = [
        np.arange(place, place + count) for place, count in zip(batch.documents, counts, strict=True)
    ]
    return np.asarray(np.concatenate(positions) % stride == 0)
