"""How the documents of a batch use one layer's features: encoded, summed over tokens, by document."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.models.devices import exact_device

if TYPE_CHECKING:
    import torch

    from sae_merge_method.saes.dictionaries import DirectionsEncoder
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


class Without(NamedTuple):
    """What documents use when the tokens of a class are left out, summed over the documents of a side.
    float64."""

    sums: npt.NDArray[np.float64]
    """(S, K, F) sum over side s's documents of the mean activation over counted tokens outside class k."""
    documents: npt.NDArray[np.int64]
    """(S, K) documents that have a counted token outside the class."""

    def plus(self, other: "Without") -> "Without":
        """The sums over both sets of documents."""
        return Without(self.sums + other.sums, self.documents + other.documents)

    def means(self) -> npt.NDArray[np.float64]:
        """(S, K, F) means over documents; 0 where every token of a side is of the class."""
        means: npt.NDArray[np.float64] = self.sums / np.maximum(self.documents, 1)[..., None]
        return means


class TokenLayout(NamedTuple):
    """Which tokens of a batch are whose."""

    tokens: npt.NDArray[np.int64]
    """(B,) counted tokens of each document, summing to T."""
    sampled: npt.NDArray[np.bool_]
    """(T,) tokens whose reconstruction enters the explained variance."""
    classes: npt.NDArray[np.uint32]
    """(T,) classes of each token, a bit each."""
    n_classes: int
    """K."""
    sides: npt.NDArray[np.int64]
    """(B,) the side of each document; -1 for a twin, of which nothing is left out."""
    n_sides: int
    """S."""


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
    without: Without
    """Of these documents, by side and class left out."""


ROWS = ("lengths", "indices", "means", "counts")
"""The fields of :class:`PartialUsage` that grow with the documents."""


def encode(encoder: "Encoder", residual: "torch.Tensor") -> "torch.Tensor":
    """Residual stream (T, d_model) to features (T, d_sae), dense whatever the encoder returns."""
    features = encoder.encode(residual)
    return features.to_dense() if features.is_sparse else features


def encode_documents(
    encoder: "Encoder",
    residual: "torch.Tensor",
    layout: TokenLayout,
    beside: "Sequence[DirectionsEncoder]" = (),
) -> tuple[PartialUsage, ...]:
    """Encode the counted tokens of some documents and sum them up by document.

    Args:
        encoder: The layer's SAE.
        residual: (T, d_model) residual stream, document by document.
        layout: Which tokens are whose.
        beside: Other dictionaries, which take the SAE's centre and number of active features at each token.

    Returns:
        By the SAE, then by each of the others, of which there are neither moments nor classes.
    """
    import torch

    with torch.inference_mode():
        features = encode(encoder, residual)
        sampled = torch.from_numpy(layout.sampled).to(residual.device)
        moments = _moments(encoder, residual, features, sampled)
        usage = [_summed(features, layout, moments)]
        if beside:
            active = torch.count_nonzero(features, 1)
            centre = encoder.decode(torch.zeros_like(features[:1]))[0]
            del features  # as large as those of another dictionary
            none = Moments(0.0, 0.0, np.zeros(0), 0.0)
            unclassed = layout._replace(n_classes=0)
            usage += [
                _summed(other.encode_beside(residual, centre, active), unclassed, none) for other in beside
            ]
        return tuple(usage)


def _summed(features: "torch.Tensor", layout: TokenLayout, moments: Moments) -> PartialUsage:
    import torch

    tokens = layout.tokens
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
        without=_without(slices, sums, layout),
    )


def _without(slices: "Sequence[torch.Tensor]", sums: "torch.Tensor", layout: TokenLayout) -> Without:
    """Means of each document outside each class, summed over the documents of a side.

    Only tokens of a class are read again: what is outside is the document's sum less theirs.
    """
    import torch

    shape = (layout.n_sides, layout.n_classes)
    totals = torch.zeros(*shape, sums.shape[1], dtype=torch.float64, device=exact_device(sums.device))
    documents = np.zeros(shape, dtype=np.int64)
    classes = np.split(layout.classes, np.cumsum(layout.tokens)[:-1])
    for features, whole, bits, side in zip(slices, sums, classes, layout.sides, strict=True):
        for nth in range(layout.n_classes if side >= 0 else 0):
            inside = np.flatnonzero((bits >> nth) & 1)
            outside = len(bits) - len(inside)
            if outside:
                of_class = features[torch.from_numpy(inside).to(features.device)].sum(0, dtype=torch.float32)
                totals[side, nth] += ((whole - of_class).clamp_min(0) / outside).to(totals.device)
                documents[side, nth] += 1
    return Without(totals.cpu().numpy(), documents)


def _moments(
    encoder: "Encoder",
    residual: "torch.Tensor",
    features: "torch.Tensor",
    sampled: "torch.Tensor",
) -> Moments:
    import torch

    if not bool(sampled.any()):
        return Moments(0.0, 0.0, np.zeros(residual.shape[1]), 0.0)
    exact = exact_device(residual.device)
    decoded = encoder.decode(features[sampled]).to(exact).double()
    activations = residual[sampled].to(exact).double()
    error = activations - decoded
    return Moments(
        tokens=float(len(activations)),
        squares=float(activations.square().sum()),
        sums=activations.sum(0, dtype=torch.float64).cpu().numpy(),
        residuals=float(error.square().sum()),
    )
