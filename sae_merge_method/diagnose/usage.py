"""Counting how documents use features: sums over tokens, kept by document, nothing kept by token."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.usage import LayerUsage, pack_layer

if TYPE_CHECKING:
    import torch

    from sae_merge_method.saes.encoders import Encoder


class Moments(NamedTuple):
    """Sums over sampled tokens that give the share of variance an SAE explains. float64."""

    tokens: float
    squares: float
    """Sum of |x|^2."""
    sums: npt.NDArray[np.float64]
    """(d_model,) sum of x."""
    residuals: float
    """Sum of |x - SAE(x)|^2."""

    def plus(self, other: "Moments") -> "Moments":
        """The moments of both samples together."""
        return Moments(
            self.tokens + other.tokens,
            self.squares + other.squares,
            self.sums + other.sums,
            self.residuals + other.residuals,
        )

    def explained_variance(self) -> float:
        """1 - sum |x - SAE(x)|^2 / sum |x - mean x|^2; 0 where the stream does not vary."""
        if self.tokens == 0:
            return 0.0
        variance = self.squares - float(self.sums @ self.sums) / self.tokens
        return 1 - self.residuals / variance if variance > 0 else 0.0


class BatchUsage(NamedTuple):
    """What one batch adds to one layer: rows of B documents in sparse form."""

    lengths: npt.NDArray[np.int64]
    """(B,) features used by each document."""
    indices: npt.NDArray[np.int64]
    """(nnz,)"""
    means: npt.NDArray[np.float32]
    """(nnz,) mean activation over the document's counted tokens."""
    counts: npt.NDArray[np.int64]
    """(nnz,) counted tokens on which the feature fired."""
    moments: Moments


ROWS = ("lengths", "indices", "means", "counts")
"""The fields of :class:`BatchUsage` that grow with the documents."""


def use_batch(
    encoder: "Encoder",
    residual: "torch.Tensor",
    tokens: npt.NDArray[np.int64],
    sampled: npt.NDArray[np.bool_],
) -> BatchUsage:
    """Encode one batch's counted tokens and sum them up by document.

    Args:
        encoder: The layer's SAE.
        residual: (T, d_model) residual stream, document by document.
        tokens: (B,) counted tokens of each document, summing to T.
        sampled: (T,) tokens whose reconstruction enters the explained variance.
    """
    import torch

    with torch.inference_mode():
        features = encoder.encode(residual)
        if features.is_sparse:
            features = features.to_dense()
        moments = _moments(encoder, residual, features, torch.from_numpy(sampled).to(residual.device))
        # Slices are summed one by one: same order whatever the device, no copy of the features.
        ends = np.cumsum(tokens)
        slices = [features[end - count : end] for end, count in zip(ends, tokens, strict=True)]
        sums = torch.stack([part.sum(0, dtype=torch.float32) for part in slices])
        fired = torch.stack([torch.count_nonzero(part, 0) for part in slices])
        rows, indices = torch.nonzero(fired, as_tuple=True)
        means = sums[rows, indices] / torch.from_numpy(tokens).to(sums.device)[rows]
        return BatchUsage(
            lengths=torch.bincount(rows, minlength=len(tokens)).cpu().numpy(),
            indices=indices.cpu().numpy(),
            means=means.cpu().numpy(),
            counts=fired[rows, indices].cpu().numpy(),
            moments=moments,
        )


def join(parts: Sequence[BatchUsage]) -> BatchUsage:
    """Several batches of one layer as one, in their order."""
    moments = parts[0].moments
    for part in parts[1:]:
        moments = moments.plus(part.moments)
    rows = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ROWS}
    return BatchUsage(**rows, moments=moments)


class LayerCollector:
    """Gathers the batches of one layer and puts the documents back into their own order."""

    def __init__(self, n_documents: int) -> None:
        self._rows: list[tuple[npt.NDArray[np.generic], ...]] = [()] * n_documents
        self._moments: list[Moments] = []

    def add(self, documents: Sequence[int], usage: BatchUsage) -> None:
        """Take one batch; ``documents`` are its rows' places in the whole list."""
        ends = np.cumsum(usage.lengths)
        for place, end, length in zip(documents, ends, usage.lengths, strict=True):
            part = slice(end - length, end)
            self._rows[place] = (
                usage.indices[part].astype(np.uint32),
                usage.means[part],
                usage.counts[part].astype(np.uint32),
            )
        self._moments.append(usage.moments)

    def layer_usage(self, d_sae: int) -> LayerUsage:
        """All documents, in order, as they are stored."""
        indices, means, counts = (np.concatenate(parts) for parts in zip(*self._rows, strict=True))
        lengths = np.array([len(row[0]) for row in self._rows])
        return pack_layer(d_sae, lengths, indices, means, counts)

    def explained_variance(self) -> float:
        """Share of the sampled tokens' variance that the SAE reconstructs."""
        total = self._moments[0]
        for moments in self._moments[1:]:
            total = total.plus(moments)
        return total.explained_variance()


def _moments(
    encoder: "Encoder",
    residual: "torch.Tensor",
    features: "torch.Tensor",
    sampled: "torch.Tensor",
) -> Moments:
    import torch

    activations = residual[sampled]
    error = activations.double() - encoder.decode(features[sampled]).double()
    activations = activations.double()
    return Moments(
        tokens=float(len(activations)),
        squares=float(activations.square().sum()),
        sums=activations.sum(0, dtype=torch.float64).cpu().numpy(),
        residuals=float(error.square().sum()),
    )
