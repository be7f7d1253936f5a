"""What a score is worth: shuffled labels, resampled documents, and false discoveries over layers.

Every layer sees the same shuffles and the same resamples, so that layers can be compared draw
by draw.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.diagnosis import Interval, Null
from sae_merge_method.diagnose.matrices import DocumentMatrices, for_resampling
from sae_merge_method.diagnose.specificity import Score

if TYPE_CHECKING:
    import torch

LEVEL = 0.95
"""Of intervals, and of the null's band."""

Draws = npt.NDArray[np.float64]


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
    draws = []
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
    draws = [
        score.layer(resampling.means(block * side), resampling.means(block * (1 - side))).numpy()
        for block in matrices.blocks(weights)
    ]
    return np.concatenate(draws)


def p_value(score: float, draws: Draws) -> float:
    """(1 + shuffles at least as high) / (1 + shuffles) (Phipson and Smyth 2010): never 0."""
    # A shuffle that repeats the true labels must count although its sum was rounded otherwise.
    slack = 1e-9 * abs(score)
    return (1 + int((draws >= score - slack).sum())) / (1 + len(draws))


def benjamini_hochberg(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """q-values: the least false discovery rate at which each is still found.

    Benjamini and Hochberg (1995): ``q_(i) = min over j >= i of p_(j) m / j``.
    """
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    scaled = p_values[order] * m / np.arange(1, m + 1)
    q_values = np.empty(m)
    q_values[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1)
    return q_values


def summarise_null(score: float, draws: Draws, q_value: float) -> Null:
    """The stored summary of one layer's shuffles."""
    mean = float(draws.mean())
    return Null(
        permutations=len(draws),
        mean=mean,
        sd=float(draws.std()),
        high=float(np.quantile(draws, LEVEL)),
        p=p_value(score, draws),
        q=q_value,
        corrected=score - mean,
    )


def summarise_bootstrap(score: float, draws: Draws) -> Interval:
    """The basic bootstrap interval, ``2 score - percentiles`` (Davison and Hinkley 1997, section 5.2).

    A divergence reads sampling noise as signal, and resampling adds as much noise again: plain
    percentiles would count it twice and never cover the truth. Reflected about the score they
    surround what unlimited documents would give. Not for scores of the top k, see
    :attr:`~sae_merge_method.diagnose.specificity.Score.has_interval`.
    """
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(
        level=LEVEL,
        low=2 * score - float(high),
        high=2 * score - float(low),
        estimate=2 * score - float(draws.mean()),
        resamples=len(draws),
    )
