"""Where in the target text a layer's top features fire most: those few documents are encoded once more."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sae_merge_method.artifacts.layer_diagnosis import TopFeature
from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.snippets import snippet
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.diagnose.usage import encode, outliers
from sae_merge_method.models.residual_stream import forward_at

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.scales import CountingRule
    from sae_merge_method.models.sites import Site
    from sae_merge_method.models.text_model import TextModel
    from sae_merge_method.saes.sae import LayerSae

FEATURES = 5
"""Top features of a layer that get snippets."""


def add_snippets(
    model: "TextModel",
    sae: "LayerSae",
    site: "Site",
    features: Sequence[TopFeature],
    usage: LayerUsage,
    documents: Sequence[Document],
    sides: Documents,
    count: int,
    rule: "CountingRule",
) -> tuple[TopFeature, ...]:
    """Show the first features in the target documents that use them most.

    Args:
        model: The text model.
        sae: The SAE.
        site: Where it listens.
        features: The layer's top features.
        usage: What each document used.
        documents: All documents.
        sides: Which of them are the target's.
        count: Snippets of each feature.
        rule: Which tokens of the layer count.
    """
    shown = [entry.feature for entry in features[:FEATURES]]
    users = {feature: _heaviest_users(feature, usage, sides, count) for feature in shown}
    wanted = sorted({document for heaviest in users.values() for document in heaviest})
    strongest = {
        document: _strongest(model, sae, site, rule, shown, documents[document]) for document in wanted
    }
    return tuple(
        entry.model_copy(
            update={
                "snippets": tuple(
                    snippet(
                        model.tokenizer,
                        documents[document].ids,
                        documents[document].shown,
                        strongest[document][entry.feature],
                    )
                    for document in users.get(entry.feature, ())
                )
            }
        )
        for entry in features
    )


def _heaviest_users(feature: int, usage: LayerUsage, sides: Documents, count: int) -> list[int]:
    """Places of the target documents with the highest mean activation of a feature."""
    entries = np.flatnonzero(usage.indices == feature)
    users = usage.rows()[entries]
    means = usage.means()[entries]
    keep = sides.is_target[users]
    order = np.argsort(-means[keep], kind="stable")[:count]
    return [int(document) for document in users[keep][order]]


def _strongest(
    model: "TextModel",
    sae: "LayerSae",
    site: "Site",
    rule: "CountingRule",
    features: Sequence[int],
    document: Document,
) -> dict[int, int]:
    """The position of each feature's strongest counted token in a document."""
    positions = np.flatnonzero(document.counted)
    (batch,) = make_batches([document], len(document.ids))

    def counted(residual: "torch.Tensor") -> "torch.Tensor":
        import torch

        activations = encode(sae.encoder, residual)
        if rule.leaves_out:
            activations[torch.from_numpy(outliers(residual, rule)).to(activations.device)] = 0
        return activations

    activations = forward_at(model, batch, {site: counted})[site]
    return {feature: int(positions[int(activations[:, feature].argmax())]) for feature in features}
