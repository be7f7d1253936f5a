"""How the documents of a batch use one layer's features: encoded, summed over tokens, by document."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

    from sae_merge_method.saes.encoders import Encoder


class Moments(NamedTuple):
    """Sums over sampled tokens that give the share of variance an SAE explains. float64."""

    tokens: float
    """How many."""
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


class PartialUsage(NamedTuple):
    """What some documents use of one layer's features, in sparse form."""

    lengths: npt.NDArray[np.int64]
    """(B,) features used by each document."""
    indices: npt.NDArray[np.int64]
    """(nnz,) feature of each entry, ascending within a document."""
    means: npt.NDArray[np.float32]
    """(nnz,) mean activation over the document's counted tokens."""
    counts: npt.NDArray[np.int64]
    """(nnz,) counted tokens on which the feature fired."""
    moments: Moments
    """Of the tokens sampled among these documents."""


ROWS = ("lengths", "indices", "means", "counts")
"""The fields of :class:`PartialUsage` that grow with the documents."""


def encode(encoder: "Encoder", residual: "torch.Tensor") -> "torch.Tensor":
    """Residual stream (T, d_model) to features (T, d_sae), dense whatever the encoder returns."""
    features = encoder.encode(residual)
    return features.to_dense() if features.is_sparse else features


def encode_documents(
    encoder: "Encoder",
    residual: "torch.Tensor",
    tokens: npt.NDArray[np.int64],
    sampled: npt.NDArray[np.bool_],
) -> PartialUsage:
    """Encode the counted tokens of some documents and sum them up by document.

    Args:
        encoder: The layer's SAE.
        residual: (T, d_model) residual stream, document by document.
        tokens: (B,) counted tokens of each document, summing to T.
        sampled: (T,) tokens whose reconstruction enters the explained variance.
    """
    import torch

    with torch.inference_mode():
        features = encode(encoder, residual)
        moments = _moments(encoder, residual, features, torch.from_numpy(sampled).to(residual.device))
        # Slices are summed one by one: same order whatever the device, no copy of the features.
        ends = np.cumsum(tokens)
        slices = [features[end - count : end] for end, count in zip(ends, tokens, strict=True)]
        sums = torch.stack([part.sum(0, dtype=torch.float32) for part in slices])
        fired = torch.stack([torch.count_nonzero(part, 0) for part in slices])
        rows, indices = torch.nonzero(fired, as_tuple=True)
        means = sums[rows, indices] / torch.from_numpy(tokens).to(sums.device)[rows]
        return PartialUsage(
            lengths=torch.bincount(rows, minlength=len(tokens)).cpu().numpy(),
            indices=indices.cpu().numpy(),
            means=means.cpu().numpy(),
            counts=fired[rows, indices].cpu().numpy(),
            moments=moments,
        )


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
