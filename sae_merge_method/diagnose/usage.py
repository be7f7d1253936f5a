"""How the documents of a batch use one layer's features: encoded, summed over tokens, by document.

Outliers, tokens whose norm is far above their layer's, are told apart here and summed for themselves: what
counts is one part, and both together are what would count without the rule.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.fit import NO_FIT, Fit, fit_of
from sae_merge_method.models.devices import exact_device

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.scales import CountingRule
    from sae_merge_method.saes.dictionaries import DirectionsEncoder
    from sae_merge_method.saes.encoders import Encoder


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
    """(B,) tokens of each document, summing to T."""
    ids: npt.NDArray[np.int64]
    """(T,) which tokens they are."""
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

    def only(self, kept: npt.NDArray[np.bool_]) -> "TokenLayout":
        """Of some tokens alone; a document may be left with none."""
        document = np.repeat(np.arange(len(self.tokens)), self.tokens)
        return self._replace(
            tokens=np.bincount(document[kept], minlength=len(self.tokens)),
            ids=self.ids[kept],
            sampled=self.sampled[kept],
            classes=self.classes[kept],
        )


class Rows(NamedTuple):
    """What some documents use of one layer's features on some of their tokens, in sparse form."""

    tokens: npt.NDArray[np.int64]
    """(B,) those tokens of each document."""
    lengths: npt.NDArray[np.int64]
    """(B,) features used by each document."""
    indices: npt.NDArray[np.int64]
    """(nnz,) feature of each entry, ascending within a document."""
    means: npt.NDArray[np.float32]
    """(nnz,) mean activation over the document's tokens."""
    counts: npt.NDArray[np.int64]
    """(nnz,) tokens on which the feature fired."""


class PartialUsage(NamedTuple):
    """What some documents use of one layer's features."""

    counted: Rows
    """On the tokens that count."""
    outliers: Rows
    """On the outliers that do not; without tokens where outliers count too."""
    outlier_tokens: npt.NDArray[np.int64]
    """(B,) outliers of each document, whether they count or not."""
    outlier_ids: npt.NDArray[np.int64]
    """(sum of those,) which tokens they are, document by document."""
    fit: Fit
    """Of the tokens sampled among these documents."""
    without: Without
    """Of these documents, by side and class left out."""


def encode(encoder: "Encoder", residual: "torch.Tensor") -> "torch.Tensor":
    """Residual stream (T, d_model) to features (T, d_sae), dense whatever the encoder returns."""
    features = encoder.encode(residual)
    return features.to_dense() if features.is_sparse else features


def encode_documents(
    encoder: "Encoder",
    residual: "torch.Tensor",
    layout: TokenLayout,
    rule: "CountingRule",
    beside: "Sequence[DirectionsEncoder]" = (),
) -> tuple[PartialUsage, ...]:
    """Encode the tokens of some documents and sum them up by document.

    Args:
        encoder: The layer's SAE.
        residual: (T, d_model) residual stream, document by document.
        layout: Which tokens are whose.
        rule: Which of them count.
        beside: Other dictionaries, which take the SAE's centre and number of active features at each token.

    Returns:
        By the SAE, then by each of the others, of which there are neither outliers, nor a fit, nor classes.
    """
    import torch

    with torch.inference_mode():
        outlier = outliers(residual, rule)
        of_outliers = layout.only(outlier)
        nothing = _no_rows(len(layout.tokens))
        apart, fit_apart = nothing, NO_FIT
        if rule.leaves_out and outlier.any():
            device = residual.device
            left = torch.from_numpy(np.flatnonzero(outlier)).to(device, non_blocking=True)
            kept = torch.from_numpy(np.flatnonzero(~outlier)).to(device, non_blocking=True)
            features = encode(encoder, residual[left])
            apart = _Summed.of(features, of_outliers.tokens).rows()
            fit_apart = fit_of(encoder, residual[left], features, of_outliers.sampled, rule.mean, count=False)
            residual, layout = residual[kept], layout.only(~outlier)
        features = encode(encoder, residual)
        summed = _Summed.of(features, layout.tokens)
        usage = [
            PartialUsage(
                counted=summed.rows(),
                outliers=apart,
                outlier_tokens=of_outliers.tokens,
                outlier_ids=of_outliers.ids,
                fit=fit_of(encoder, residual, features, layout.sampled, rule.mean, count=True).plus(
                    fit_apart
                ),
                without=summed.without(layout),
            )
        ]
        if beside:
            active = torch.count_nonzero(features, 1)
            centre = encoder.decode(features.new_zeros(1, features.shape[1]))[0]
            del features, summed  # as large as those of another dictionary
            unclassed = layout._replace(n_classes=0)
            for other in beside:
                summed = _Summed.of(other.encode_beside(residual, centre, active), layout.tokens)
                without = summed.without(unclassed)
                none = nothing.tokens
                usage.append(PartialUsage(summed.rows(), nothing, none, none[:0], NO_FIT, without))
        return tuple(usage)


def outliers(residual: "torch.Tensor", rule: "CountingRule") -> npt.NDArray[np.bool_]:
    """(T,) which tokens' norms are above the limit."""
    import torch

    norms = torch.linalg.vector_norm(residual, dim=1, dtype=torch.float32)
    above: npt.NDArray[np.bool_] = (norms > rule.limit).cpu().numpy()
    return above


def _no_rows(documents: int) -> Rows:
    none = np.zeros(0, dtype=np.int64)
    tokens = np.zeros(documents, dtype=np.int64)
    return Rows(tokens, tokens, none, none.astype(np.float32), none)


class _Summed(NamedTuple):
    """Features of tokens, and their sums by document."""

    tokens: npt.NDArray[np.int64]
    features: "torch.Tensor"
    """(T, F)"""
    slices: "list[torch.Tensor]"
    """By document, (tokens, F)."""
    sums: "torch.Tensor"
    """(B, F)"""

    @classmethod
    def of(cls, features: "torch.Tensor", tokens: npt.NDArray[np.int64]) -> "_Summed":
        import torch

        # Slices are summed one by one: same order whatever the device, no copy of the features.
        ends = np.cumsum(tokens)
        slices = [features[end - count : end] for end, count in zip(ends, tokens, strict=True)]
        return cls(
            tokens, features, slices, torch.stack([part.sum(0, dtype=torch.float32) for part in slices])
        )

    def rows(self) -> Rows:
        import torch

        device = self.sums.device
        fired = torch.stack([torch.count_nonzero(part, 0) for part in self.slices])
        entries = torch.nonzero(fired, as_tuple=True)
        tokens = torch.from_numpy(self.tokens).to(device, non_blocking=True)
        means = self.sums[entries] / tokens[entries[0]]
        # A GPU is waited for at each copy: all whole numbers come over as one.
        rows, indices, counts = torch.stack([*entries, fired[entries]]).cpu().numpy()
        return Rows(
            tokens=self.tokens,
            lengths=np.bincount(rows, minlength=len(self.tokens)),
            indices=indices,
            means=means.cpu().numpy(),
            counts=counts,
        )

    def without(self, layout: TokenLayout) -> Without:
        """Means of each document outside each class, summed over the documents of a side.

        Only tokens of a class are read again: what is outside is the document's sum less theirs.
        """
        import torch

        shape = (layout.n_sides, layout.n_classes)
        device = self.sums.device
        totals = torch.zeros(*shape, self.sums.shape[1], dtype=torch.float64, device=exact_device(device))
        documents = np.zeros(shape, dtype=np.int64)
        of_document = np.repeat(np.arange(len(layout.tokens)), layout.tokens)
        for nth in range(layout.n_classes):
            inside = np.flatnonzero((layout.classes >> nth) & 1)
            counts = np.bincount(of_document[inside], minlength=len(layout.tokens))
            # The class' tokens go to the device at once, and not document by document.
            chosen = torch.split(torch.from_numpy(inside).to(device, non_blocking=True), counts.tolist())
            each = zip(chosen, self.sums, layout.tokens - counts, layout.sides, strict=True)
            for tokens, whole, outside, side in each:
                if side >= 0 and outside:
                    of_class = self.features[tokens].sum(0, dtype=torch.float32)
                    totals[side, nth] += ((whole - of_class).clamp_min(0) / int(outside)).to(totals.device)
                    documents[side, nth] += 1
        return Without(totals.cpu().numpy(), documents)
