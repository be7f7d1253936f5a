"""A layer's score against one control, under shuffled labels and over resampled sources.

A score that sums over features reads all documents. One of the top k would choose its features on the noise
that it then averages: it chooses them on one half of the sources and is measured on the other, both ways, and
what is given is the mean of the two.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.document_matrices import DocumentMatrices
from sae_merge_method.diagnose.resampling import Sample, blocks, half_samples, whole_sample
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import Means, Score

if TYPE_CHECKING:
    import torch

Draws = npt.NDArray[np.float64]
_NO_DRAWS: Draws = np.zeros(0)


class Estimate(NamedTuple):
    """A score and its draws."""

    score: float
    null: Draws
    """(P,) under each shuffle."""
    bootstrap: Draws
    """(R,) over each resample."""


def samples_for(
    score: Score, documents: Documents, control: int, settings: ScoringSettings
) -> tuple[Sample, ...]:
    """The documents of target and one control as the score reads them: as a whole, or in two halves.

    Raises:
        CorpusError: A score that needs halves, and a side with a single source.
    """
    if score.top_k is None:
        return (whole_sample(documents, control, settings),)
    return half_samples(documents, control, settings)


def estimate(score: Score, matrices: DocumentMatrices, samples: Sequence[Sample]) -> Estimate:
    """Score a layer against one control.

    Args:
        score: Which score.
        matrices: The layer, of all documents.
        samples: From :func:`samples_for`.
    """
    if score.top_k is None:
        (sample,) = samples
        return _of_sum(score, matrices.of(sample.rows, score.needs), sample)
    first, second = samples
    both = estimate_of_halves(score, matrices, (first, second))
    return Estimate(*(np.mean([getattr(one, field) for one in both], axis=0) for field in Estimate._fields))


def estimate_of_halves(
    score: Score, matrices: DocumentMatrices, halves: tuple[Sample, Sample]
) -> tuple[Estimate, Estimate]:
    """Score a layer on either half of the sources; a score of the top k chooses its features on the other."""
    if score.top_k is None:
        first, second = (_of_sum(score, matrices.of(half.rows, score.needs), half) for half in halves)
        return first, second
    parts = [(matrices.of(half.rows, score.needs), half) for half in halves]
    return _chosen_and_scored(score, *parts[1], *parts[0]), _chosen_and_scored(score, *parts[0], *parts[1])


def _of_sum(score: Score, matrices: DocumentMatrices, sample: Sample) -> Estimate:
    return Estimate(
        float(contributions(score, matrices, sample.is_target).sum()),
        _joined(block.sum(-1) for block in null_contributions(score, matrices, sample)),
        _joined(block.sum(-1) for block in resampled_contributions(score, matrices, sample)),
    )


def _chosen_and_scored(
    score: Score, of_choice: DocumentMatrices, choice: Sample, of_score: DocumentMatrices, scored: Sample
) -> Estimate:
    """The mean contribution, in one half, of the features that contribute most in the other.

    A shuffle chooses anew, since the null is of the whole procedure. A resample does not: what is asked is
    how well the score of the features that were chosen is known.
    """
    chosen = _top(score, contributions(score, of_choice, choice.is_target))
    return Estimate(
        float(contributions(score, of_score, scored.is_target)[chosen].mean()),
        _joined(
            block.gather(-1, _top(score, chooses)).mean(-1)
            for chooses, block in zip(
                null_contributions(score, of_choice, choice),
                null_contributions(score, of_score, scored),
                strict=True,
            )
        ),
        _joined(block[..., chosen].mean(-1) for block in resampled_contributions(score, of_score, scored)),
    )


def _top(score: Score, values: "torch.Tensor") -> "torch.Tensor":
    return values.topk(min(score.top_k or 1, values.shape[-1]), dim=-1).indices


def contributions(
    score: Score, matrices: DocumentMatrices, is_target: npt.NDArray[np.bool_]
) -> "torch.Tensor":
    """(A,) contributions of the features, documents as they are."""
    return score.contributions(*matrices.sides(is_target))


def null_contributions(score: Score, matrices: DocumentMatrices, sample: Sample) -> Iterator["torch.Tensor"]:
    """(r, A) contributions under the shuffles, a block of them at a time."""
    n = len(sample.rows)
    total = matrices.means(sample.shuffles.new_full((n,), 1 / n))
    for block in blocks(sample.shuffles, len(matrices.features)):
        share = (block > 0).double().mean(1, keepdim=True)
        target = matrices.means(block)
        yield score.contributions(target, _others(total, target, share))


def _others(total: Means, target: Means, share: "torch.Tensor") -> Means:
    """Means over what is not target. None of them can be negative, but the rounding of a difference can."""
    return {name: ((total[name] - share * part) / (1 - share)).clamp_min(0) for name, part in target.items()}


def resampled_contributions(
    score: Score, matrices: DocumentMatrices, sample: Sample
) -> Iterator["torch.Tensor"]:
    """(r, A) contributions over the resamples, a block of them at a time."""
    import torch

    side = torch.from_numpy(sample.is_target).double()
    resampling = matrices.for_resampling(sample.is_target)
    for block in blocks(sample.resamples, len(matrices.features)):
        yield score.contributions(resampling.means(block * side), resampling.means(block * (1 - side)))


def _joined(parts: Iterator["torch.Tensor"]) -> Draws:
    return np.concatenate([_NO_DRAWS, *(part.numpy() for part in parts)])
