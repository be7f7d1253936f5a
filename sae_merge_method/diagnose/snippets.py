"""Where in the target text a layer's top features fire most, as it was noted when the text was encoded."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_diagnosis import TopFeature
from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.corpora.snippets import snippet

if TYPE_CHECKING:
    from sae_merge_method.diagnose.sides import Sides

FEATURES = 5
"""Top features of a layer that get snippets."""


def add_snippets(
    features: Sequence[TopFeature],
    usage: LayerUsage,
    peaks: npt.NDArray[np.int64],
    sides: "Sides",
    tokenizer: Any,
    count: int,
) -> tuple[TopFeature, ...]:
    """Show the first features in the target documents that use them most.

    Args:
        features: The layer's top features.
        usage: What each document used.
        peaks: (nnz,) at which token of its document each entry of the usage fired most.
        sides: The documents.
        tokenizer: Of transformers.
        count: Snippets of each feature.
    """

    def snippets(feature: int) -> Iterator[str]:
        entries = np.flatnonzero(usage.indices == feature)
        users, means = usage.rows()[entries], usage.means()[entries]
        of_target = np.flatnonzero(sides.labels.is_target[users])
        for at in of_target[np.argsort(-means[of_target], kind="stable")[:count]]:
            document = sides.documents[users[at]]
            yield snippet(tokenizer, document.ids, document.shown, int(peaks[entries[at]]))

    shown, rest = features[:FEATURES], features[FEATURES:]
    return (
        *(entry.model_copy(update={"snippets": tuple(snippets(entry.feature))}) for entry in shown),
        *rest,
    )
