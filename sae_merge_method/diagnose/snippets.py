"""Where in the target text a layer's top features fire most: the few documents are heard again."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sae_merge_method.artifacts.diagnosis import TopFeature
from sae_merge_method.artifacts.usage import Documents, LayerUsage
from sae_merge_method.corpora.tokens import Batch, Document, make_batches
from sae_merge_method.diagnose.residual_stream import listen

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.model import TextModel
    from sae_merge_method.saes.sae import LayerSae

FEATURES = 5
"""Top features of a layer that get snippets."""
_AROUND = 12
"""Tokens shown on either side of the strongest."""


class _Peak(NamedTuple):
    value: float
    token: int


def add_snippets(
    model: "TextModel",
    sae: "LayerSae",
    features: Sequence[TopFeature],
    usage: LayerUsage,
    documents: Sequence[Document],
    sides: Documents,
    count: int,
) -> tuple[TopFeature, ...]:
    """Show the first features in the target documents that use them most.

    Args:
        model: The text model.
        sae: The layer's SAE.
        features: The layer's top features.
        usage: What each document used.
        documents: All documents.
        sides: Which of them are the target's.
        count: Snippets of each feature.
    """
    shown = [entry.feature for entry in features[:FEATURES]]
    places = {feature: _heaviest_users(feature, usage, sides, count) for feature in shown}
    wanted = sorted({place for found in places.values() for place in found})
    if not wanted:
        return tuple(features)
    peaks = _peaks(model, sae, shown, wanted, documents)
    return tuple(
        entry.model_copy(
            update={
                "snippets": tuple(
                    _snippet(model, documents[place], peaks[place, entry.feature].token)
                    for place in places.get(entry.feature, ())
                )
            }
        )
        for entry in features
    )


def _heaviest_users(feature: int, usage: LayerUsage, sides: Documents, count: int) -> list[int]:
    entries = np.flatnonzero(usage.indices == feature)
    places = usage.rows()[entries]
    means = usage.means()[entries]
    keep = sides.is_target[places]
    order = np.argsort(-means[keep], kind="stable")[:count]
    return [int(place) for place in places[keep][order]]


def _peaks(
    model: "TextModel",
    sae: "LayerSae",
    features: Sequence[int],
    wanted: Sequence[int],
    documents: Sequence[Document],
) -> dict[tuple[int, int], _Peak]:
    """The strongest counted token of every (document, feature)."""
    peaks: dict[tuple[int, int], _Peak] = {}
    for place in wanted:
        document = documents[place]
        positions = np.flatnonzero(document.counted)
        (batch,) = make_batches([document], len(document.ids))
        activations = _features(model, sae, batch)
        for feature in features:
            value, token = activations[:, feature].max(0)
            peaks[place, feature] = _Peak(float(value), int(positions[int(token)]))
    return peaks


def _features(model: "TextModel", sae: "LayerSae", batch: Batch) -> "torch.Tensor":
    """(T, d_sae) features of a batch's counted tokens."""
    found: list[torch.Tensor] = []

    def hear(_: int, residual: "torch.Tensor") -> None:
        features = sae.encoder.encode(residual)
        found.append(features.to_dense() if features.is_sparse else features)

    listen(model, batch, [sae.layer], hear)
    return found[0]


def _snippet(model: "TextModel", document: Document, token: int) -> str:
    def text(start: int, stop: int) -> str:
        inside = slice(max(0, start), stop)
        ids = document.ids[inside][document.counted[inside]]
        decoded: str = model.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        return " ".join(decoded.split("\n"))

    before, peak, after = (
        text(token - _AROUND, token),
        text(token, token + 1),
        text(token + 1, token + 1 + _AROUND),
    )
    return f"{before}«{peak}»{after}"
