"""How large tokens are in each layer, or part: what outliers and the explained variance are held against.

The limit on a token's norm must be known before the first token is counted, and reading all texts twice would
double the cost of the model. So it is measured on a sample, in one forward pass over some 2,000 tokens that
are spread over all sides, and frozen: it is kept beside the chunks, so that every chunk, every process and a
run that goes on after a kill count by the same limit. A median of 2,000 norms is known to about 1 in 50.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.counting import OUTLIER_NORM, norm_limit
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.loaded.residual_stream import forward_at
from sae_merge_method.loaded.sites import Site
from sae_merge_method.models.devices import exact_device

if TYPE_CHECKING:
    import torch

    from sae_merge_method.loaded.text_model import TextModel

SAMPLE_TOKENS = 2048
"""Tokens to measure on, all sides together."""
_CROP = 128
"""Counted tokens of one document that are measured: the sample is of many documents, not of few long ones."""


class LayerScale(NamedTuple):
    """The activations behind one layer, or at one of its parts, over the sample."""

    norm: float
    """Median norm of tokens that carry text."""
    first: float
    """Median norm at the model's first position."""
    mean: npt.NDArray[np.float32]
    """(d,) mean over the tokens that carry text and are no outliers."""

    def rule(self, bound: float | None) -> "CountingRule":
        """How tokens of this layer are counted.

        Args:
            bound: Median norms that a token may have; None to count outliers as well.
        """
        return CountingRule(
            norm_limit(self.norm, OUTLIER_NORM if bound is None else bound), bound is not None, self.mean
        )


class CountingRule(NamedTuple):
    """Which tokens of a layer count."""

    limit: float
    """Tokens of a larger norm are outliers."""
    leaves_out: bool
    """Whether outliers do not count; else they are only noted."""
    mean: npt.NDArray[np.float32]
    """(d,) what the explained variance is measured from."""


def sample_documents(documents: Sequence[Document], labels: Documents) -> tuple[Document, ...]:
    """As many tokens of each side, always the same: the beginnings of documents drawn at random.

    Args:
        documents: Of all sides.
        labels: Which of them are whose.
    """
    sides = range(int(labels.side.max()) + 1)
    sample = []
    for side in sides:
        wanted = SAMPLE_TOKENS // len(sides)
        for nth in np.random.default_rng(side).permutation(np.flatnonzero(labels.side == side)):
            sample.append(documents[nth].cut(_CROP))
            wanted -= int(sample[-1].counted.sum())
            if wanted <= 0:
                break
    return tuple(sample)


def measure_scales(
    model: "TextModel", sites: Sequence[Site], sample: Sequence[Document], batch_tokens: int
) -> dict[Site, LayerScale]:
    """Read the sample, and measure the activations at each site. What one gives does not depend on which
    others are measured.

    Args:
        model: The text model.
        sites: Where.
        sample: From :func:`sample_documents`.
        batch_tokens: Tokens that go through the model together.
    """
    # Position 0 is read as well, whatever stands there, and told apart by its place in the batch.
    led = [
        document._replace(counted=_with_first(document), classes=document.classes[:0]) for document in sample
    ]
    parts: dict[Site, list[_Sums]] = {site: [] for site in sites}
    for batch in make_batches(led, batch_tokens):
        starts = np.cumsum(batch.counted.sum(axis=1)) - batch.counted.sum(axis=1)
        first = np.zeros(int(batch.counted.sum()), dtype=np.bool_)
        first[starts] = True

        def measure(residual: "torch.Tensor", first: npt.NDArray[np.bool_] = first) -> _Sums:
            return _measure(residual, first)

        for site, part in forward_at(model, batch, dict.fromkeys(sites, measure)).items():
            parts[site].append(part)
    return {site: _scale(of_site) for site, of_site in parts.items()}


class _Sums(NamedTuple):
    norms: npt.NDArray[np.float32]
    first: npt.NDArray[np.float32]
    total: npt.NDArray[np.float64]
    """(d,) over the tokens within their own batch's limit: the whole sample's is not known yet."""
    ordinary: int
    """How many those are."""


def _with_first(document: Document) -> npt.NDArray[np.bool_]:
    counted: npt.NDArray[np.bool_] = document.counted.copy()
    counted[:1] = True
    return counted


def _measure(residual: "torch.Tensor", first: npt.NDArray[np.bool_]) -> _Sums:
    import torch

    norms = torch.linalg.vector_norm(residual, dim=1, dtype=torch.float32).cpu().numpy()
    ordinary = ~first & (norms <= norm_limit(float(np.median(norms[~first]))))
    kept = residual[torch.from_numpy(ordinary).to(residual.device)]
    total = kept.to(exact_device(kept.device)).sum(0, dtype=torch.float64).cpu().numpy()
    return _Sums(norms[~first], norms[first], total, int(ordinary.sum()))


def _scale(parts: Sequence[_Sums]) -> LayerScale:
    total = np.sum([part.total for part in parts], axis=0)
    return LayerScale(
        float(np.median(np.concatenate([part.norms for part in parts]))),
        float(np.median(np.concatenate([part.first for part in parts]))),
        (total / max(1, sum(part.ordinary for part in parts))).astype(np.float32),
    )
