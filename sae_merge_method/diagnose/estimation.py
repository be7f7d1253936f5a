"""Layers' scores against one control, under shuffled labels and over resampled sources.

A score that sums over features reads all documents. One of the top k would choose its features on the noise
that it then averages: it chooses them on one half of the sources and is measured on the other, both ways, and
what is given is the mean of the two.

Features go by in blocks, and so do draws: every score that is asked for takes what it needs of a block, and
scores that read the same draws share their means. Sums over features are taken block by block, in float64.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.document_matrices import DocumentMatrices
from sae_merge_method.diagnose.feature_block import FeatureBlock
from sae_merge_method.diagnose.resampling import Sample, half_samples, whole_sample
from sae_merge_method.diagnose.running_scores import BLOCK_DRAWS, Ask, Estimate, running_score
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import Means, Score

if TYPE_CHECKING:
    import torch


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
    (each,) = estimates(matrices, [Ask(score, tuple(samples))])
    return mean_of(each)


def mean_of(each: Sequence[Estimate]) -> Estimate:
    """The mean of a score's estimates, one or one a half."""
    return Estimate(
        float(np.mean([one.score for one in each])),
        np.mean([one.null for one in each], axis=0),
        np.mean([one.bootstrap for one in each], axis=0),
    )


def estimates(matrices: DocumentMatrices, asked: Sequence[Ask]) -> list[tuple[Estimate, ...]]:
    """Score a layer in several ways at once.

    Args:
        matrices: The layer, of all documents.
        asked: Which scores, on which documents.

    Returns:
        By what was asked, an estimate from each of its samples.
    """
    running = [running_score(matrices, ask) for ask in asked]
    samples: dict[int, Sample] = {}
    needs: dict[int, tuple[str, ...]] = {}
    for ask in asked:
        for sample in ask.samples:
            key = id(sample)
            samples[key] = sample
            needs[key] = tuple(dict.fromkeys((*needs.get(key, ()), *ask.score.needs)))
    for positions, entries in matrices.blocks():
        blocks = {key: entries.of(sample.rows, needs[key]) for key, sample in samples.items()}
        sides = {key: blocks[key].sides(sample.is_target) for key, sample in samples.items()}
        for one in running:
            one.take_whole(positions, [one.contributions(sides[key]) for key in one.keys])
        shuffled = {key: _under_shuffles(blocks[key], sample) for key, sample in samples.items()}
        for draws in zip(*shuffled.values(), strict=True):
            means = dict(zip(shuffled, draws, strict=True))
            for one in running:
                one.take_shuffled([one.contributions(means[key]) for key in one.keys])
        for one in running:
            one.take_resampled(entries, blocks)
    return [one.estimates() for one in running]


def _under_shuffles(block: FeatureBlock, sample: Sample) -> Iterator[tuple[Means, Means]]:
    """Means over the target and over the control by the labels of each shuffle, some shuffles at a time."""
    n = len(sample.rows)
    total = block.means(sample.shuffles.new_full((n,), 1 / n))
    for start in range(0, len(sample.shuffles), BLOCK_DRAWS):
        shuffles = sample.shuffles[start : start + BLOCK_DRAWS]
        share = (shuffles > 0).double().mean(1, keepdim=True)
        target = block.means(shuffles)
        yield target, _others(total, target, share)


def _others(total: Means, target: Means, share: "torch.Tensor") -> Means:
    """Means over what is not target. None of them can be negative, but the rounding of a difference can."""
    return {name: ((total[name] - share * part) / (1 - share)).clamp_min(0) for name, part in target.items()}


class FeatureMeans(NamedTuple):
    """Features of a layer, documents as they are."""

    contributions: npt.NDArray[np.float64]
    """(A,) to the score."""
    target: dict[str, npt.NDArray[np.float64]]
    """(A,) means by what was averaged."""
    control: dict[str, npt.NDArray[np.float64]]
    """The same of the control."""


def feature_means(
    score: Score,
    matrices: DocumentMatrices,
    documents: npt.NDArray[np.int64],
    is_target: npt.NDArray[np.bool_],
) -> FeatureMeans:
    """What each feature contributes, and how both sides use it and how often.

    Args:
        score: Which score.
        matrices: The layer.
        documents: (n,) which of them.
        is_target: (n,) those of the target.
    """
    count = len(matrices.features)
    shown = ("usage", "rate")
    needs = tuple(dict.fromkeys((*score.needs, *shown)))
    made = FeatureMeans(np.zeros(count), *({name: np.zeros(count) for name in shown} for _ in range(2)))
    for positions, entries in matrices.blocks():
        target, control = entries.of(documents, needs, many_means=False).sides(is_target)
        made.contributions[positions] = score.contributions(target, control).numpy()
        for name in shown:
            made.target[name][positions] = target[name].numpy()
            made.control[name][positions] = control[name].numpy()
    return made
