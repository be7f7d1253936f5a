"""What a score is worth: shuffled labels, resampled documents, and the means behind both.

Every layer sees the same shuffles and the same resamples, so that layers can be compared draw
by draw.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.usage import Documents, LayerUsage
from sae_merge_method.diagnose.specificity import Means, Score

if TYPE_CHECKING:
    import torch

_BLOCK_ELEMENTS = 1 << 24
"""Labelings are taken in blocks so that one (labelings x features) matrix stays within 128 MB."""


class DocumentMatrices(NamedTuple):
    """One layer, N documents x A features that fired at all; float64."""

    features: npt.NDArray[np.int64]
    """(A,) which features the columns are."""
    columns: dict[str, "torch.Tensor"]
    """(N, A) by key of :data:`Means`."""

    def means(self, weights: "torch.Tensor") -> Means:
        """Weighted means over documents; ``weights`` (..., N), each row summing to 1."""
        return {name: weights @ matrix for name, matrix in self.columns.items()}

    def blocks(self, weights: "torch.Tensor") -> Iterator["torch.Tensor"]:
        """Rows of ``weights`` (R, N) in blocks whose means fit in memory."""
        size = max(1, _BLOCK_ELEMENTS // max(1, len(self.features)))
        for start in range(0, len(weights), size):
            yield weights[start : start + size]


def document_matrices(usage: LayerUsage, documents: Documents, needs: tuple[str, ...]) -> DocumentMatrices:
    """Lay one layer's sparse usage out as the matrices a score needs.

    Features that never fired add nothing to any score and are left out.
    """
    import torch

    features, column = np.unique(usage.indices, return_inverse=True)
    rows = usage.rows()
    shape = (len(documents.tokens), len(features))
    dense = np.zeros(shape)
    dense[rows, column] = usage.means()
    columns = {"usage": torch.from_numpy(dense)}
    if "square" in needs:
        columns["square"] = columns["usage"].square()
    if "rate" in needs:
        rate = np.zeros(shape)
        rate[rows, column] = usage.counts / documents.tokens[rows]
        columns["rate"] = torch.from_numpy(rate)
    if "rank" in needs:
        from scipy.stats import rankdata

        columns["rank"] = torch.from_numpy(rankdata(dense, axis=0) / shape[0])
    return DocumentMatrices(features.astype(np.int64), columns)


def for_resampling(matrices: DocumentMatrices, is_target: npt.NDArray[np.bool_]) -> DocumentMatrices:
    """The same matrices, with ranks replaced so that resampled documents need not be ranked again.

    An area under the ROC curve is a mean over pairs of documents; under resampling it moves, to
    first order, with the weighted means of the documents' placements: the share of the *other*
    side that a document stands above (DeLong et al. 1988). Shifted so that
    ``1/2 + mean over target - mean over control`` gives that value, and the exact one for equal
    weights.
    """
    import torch

    if "rank" not in matrices.columns:
        return matrices
    from scipy.stats import rankdata

    usage = matrices.columns["usage"].numpy()
    ranks = matrices.columns["rank"].numpy() * len(usage)
    placement = np.empty_like(ranks)
    for side in (is_target, ~is_target):
        placement[side] = (ranks[side] - rankdata(usage[side], axis=0)) / (~side).sum()
    area = placement[is_target].mean(axis=0)
    placement[~is_target] += area - 0.5
    return matrices._replace(columns={**matrices.columns, "rank": torch.from_numpy(placement)})


Draws = npt.NDArray[np.float64]
_NO_DRAWS: Draws = np.zeros(0)


def shuffled_weights(is_target: npt.NDArray[np.bool_], count: int, seed: int) -> "torch.Tensor":
    """(count, N) weights of the documents that a shuffle calls target: 1/n_target each, else 0."""
    import torch

    n, n_target = len(is_target), int(is_target.sum())
    order = np.random.default_rng([seed, 0]).random((count, n)).argsort(axis=1)
    weights = np.zeros((count, n))
    np.put_along_axis(weights, order[:, :n_target], 1 / n_target, axis=1)
    return torch.from_numpy(weights)


def resampled_weights(is_target: npt.NDArray[np.bool_], count: int, seed: int) -> "torch.Tensor":
    """(count, N) weights of documents drawn with replacement, each side within itself and summing to 1."""
    import torch

    random = np.random.default_rng([seed, 1])
    weights = np.zeros((count, len(is_target)))
    for side in (is_target, ~is_target):
        n = int(side.sum())
        weights[:, side] = random.multinomial(n, np.full(n, 1 / n), size=count) / n
    return torch.from_numpy(weights)


def null_draws(score: Score, matrices: DocumentMatrices, weights: "torch.Tensor", n_target: int) -> Draws:
    """(R,) the layer's score under each shuffle of :func:`shuffled_weights`."""
    n = weights.shape[1]
    share = n_target / n
    total = matrices.means(weights.new_full((n,), 1 / n))
    draws = [_NO_DRAWS]
    for block in matrices.blocks(weights):
        target = matrices.means(block)
        # What is not target is control: its mean follows from the mean of all. None of the means
        # can be negative, but the rounding of a difference can.
        control = {
            name: ((total[name] - share * part) / (1 - share)).clamp_min(0) for name, part in target.items()
        }
        draws.append(score.layer(target, control).numpy())
    return np.concatenate(draws)


def bootstrap_draws(
    score: Score, matrices: DocumentMatrices, weights: "torch.Tensor", is_target: npt.NDArray[np.bool_]
) -> Draws:
    """(R,) the layer's score under each resample of :func:`resampled_weights`."""
    import torch

    side = torch.from_numpy(is_target).to(weights.dtype)
    resampling = for_resampling(matrices, is_target)
    draws = (
        score.layer(resampling.means(block * side), resampling.means(block * (1 - side))).numpy()
        for block in matrices.blocks(weights)
    )
    return np.concatenate([_NO_DRAWS, *draws])
