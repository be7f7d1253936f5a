"""What all documents use of one layer, put together from the chunks: the sides' own, and of twins the
means."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_diagnosis import SaeSource
from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import Surface
from sae_merge_method.corpora.tokens import Document

if TYPE_CHECKING:
    from sae_merge_method.diagnose.chunk_store import WholeUsage
    from sae_merge_method.diagnose.fit import Fit
    from sae_merge_method.diagnose.scales import LayerScale


class EncodedLayer(NamedTuple):
    """What all documents use of one layer's SAE."""

    source: SaeSource
    scale: "LayerScale"
    """How large its tokens are."""
    usage: LayerUsage
    """Of the documents of all sides, on the tokens that count."""
    peaks: Callable[[], npt.NDArray[np.int64]]
    """Reads at which token of its document each entry of the usage fired most; -1 outside the target."""
    outliers: LayerUsage
    """Of the same, on the outliers that do not."""
    outlier_ids: tuple[npt.NDArray[np.int64], ...]
    """By document, which of its tokens are outliers, whether they count or not."""
    fit: "Fit"
    """Of the SAE to the sampled tokens."""
    surface: Surface
    """What is used of texts with something taken away."""
    beside: Mapping[str, Callable[[], LayerUsage]]
    """Reads what is used of other dictionaries' features, by their names."""


def put_together(
    source: SaeSource,
    scale: "LayerScale",
    stored: Mapping[str, tuple[str, int]],
    gather: "Callable[[str, int], WholeUsage]",
    peaks: Callable[[str], npt.NDArray[np.int64]],
    n_documents: int,
    twins: Sequence[Sequence[Document]],
) -> EncodedLayer:
    """The documents of all sides apart from the twins, of which the means are kept.

    Args:
        source: The layer's SAE.
        scale: Of the layer.
        stored: By dictionary, "" for the SAE, the key it is stored under and its number of features.
        gather: Reads one of them.
        peaks: Reads where it fired most.
        n_documents: How many documents stand before the twins'.
        twins: By twin, its documents.
    """
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
    usage = whole.usage.first(n_documents)
    return EncodedLayer(
        source,
        scale,
        usage,
        lambda: peaks(stored[""][0])[: len(usage.indices)],
        whole.outliers.first(n_documents),
        whole.outlier_ids[:n_documents],
        whole.fit,
        surface,
        {name: partial(read, *where) for name, where in stored.items() if name},
    )
