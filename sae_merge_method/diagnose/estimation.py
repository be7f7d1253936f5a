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

from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.asked import Ask, Estimate
from sae_merge_method.diagnose.document_matrices import DocumentMatrices, LaidOut
from sae_merge_method.diagnose.entries import Layout
from sae_merge_method.diagnose.feature_block import FeatureBlock
from sae_merge_method.diagnose.resampling import (
    Drawn,
    Flags,
    Integers,
    Sample,
    draw_blocks,
    half_samples,
    whole_sample,
)
from sae_merge_method.diagnose.running_scores import RunningScore, running_score
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
        float(np.mean([one.drawn for one in each])),
        np.mean([one.null for one in each], axis=0),
        np.mean([one.bootstrap for one in each], axis=0),
        max(one.rounding for one in each),
        np.mean([one.contributions for one in each], axis=0),
    )


def estimates(matrices: DocumentMatrices, asked: Sequence[Ask]) -> list[tuple[Estimate, ...]]:
    """Score a layer in several ways at once.

    Args:
        matrices: The layer, of all documents.
        asked: Which scores, on which documents; at least one.

    Returns:
        By what was asked, an estimate from each of its samples.
    """
    import torch

    running = [running_score(matrices, ask) for ask in asked]
    alike: dict[tuple[int, ...], list[RunningScore]] = {}
    for one in running:
        alike.setdefault(tuple(id(sample) for sample in one.samples), []).append(one)
    groups = [_Group.of(members, matrices) for members in alike.values()]
    sides = torch.cat([group.sides for group in groups])
    needs = tuple(dict.fromkeys(need for group in groups for need in group.needs))
    single = all(sample.single for group in groups for sample in group.samples)
    for block in matrices.blocks():
        sparse = block.entries.sparse(needs)
        layout = Layout(block.entries, sparse, single=single)
        exact = block.entries.exact(sparse).means(sides)
        first = 0
        for group in groups:
            of_group = {name: means[first:] if means.dim() else means for name, means in exact.items()}
            group.take(block, layout, of_group)
            first += len(group.sides)
    return [one.estimates() for one in running]


class _Group(NamedTuple):
    """Scores that read the same samples, and share the means under their draws."""

    members: list[RunningScore]
    needs: tuple[str, ...]
    samples: tuple[Sample, ...]
    labelings: list[list[Drawn]]
    """By sample, some at a time: the labels as they are, and then shuffle after shuffle."""
    sides: "torch.Tensor"
    """(2 x samples, N) as :func:`side_weights` has them."""

    @classmethod
    def of(cls, members: list[RunningScore], matrices: DocumentMatrices) -> "_Group":
        import torch

        samples = members[0].samples
        most = max(one.labelings for one in members)
        sides = side_weights([(sample.rows, sample.is_target) for sample in samples], len(matrices.tokens))
        labelings = []
        for target, sample in zip(sides[::2], samples, strict=True):
            as_they_are = target[sample.rows][None].to(sample.shuffles.dtype)
            weights = torch.cat([as_they_are, sample.shuffles[: most - 1]])
            labelings.append(draw_blocks(weights, matrices.totals[sample.rows]))
        needs = tuple(dict.fromkeys(need for one in members for need in one.score.needs))
        return cls(members, needs, samples, labelings, sides)

    def take(self, block: LaidOut, layout: Layout, exact: Means) -> None:
        """Hand the next block to all members.

        Args:
            block: Its features.
            layout: The matrices made of it.
            exact: Means by this group's weights first.
        """
        blocks = layout.of([sample.rows for sample in self.samples], self.needs)
        whole = [
            _two_sides(exact, 2 * nth, self.sides[:, sample.rows], features)
            for nth, (sample, features) in enumerate(zip(self.samples, blocks, strict=True))
        ]
        for one in self.members:
            one.take_whole(block.positions, [one.contributions(sides) for sides in whole])
        labelled = zip(blocks, self.labelings, strict=True)
        for means in zip(*(_by_labels(*each) for each in labelled), strict=True):
            for one in self.members:
                if one.labelings_left:
                    left = one.labelings_left
                    one.take_shuffled([one.contributions(_first(sides, left)) for sides in means])
        for one in self.members:
            one.take_resampled(block.entries, blocks)


def side_weights(samples: Sequence[tuple[Integers, Flags]], n_documents: int) -> "torch.Tensor":
    """(2 x samples, N) weights over all documents: of a sample's target, and of its control. float64.

    Args:
        samples: (n,) documents of each, and (n,) which of them are the target's.
        n_documents: N.
    """
    import torch

    sides = np.zeros((2 * len(samples), n_documents))
    for nth, (documents, is_target) in enumerate(samples):
        for row, side in enumerate((is_target, ~is_target)):
            sides[2 * nth + row, documents[side]] = 1 / side.sum()
    return torch.from_numpy(sides)


def _two_sides(
    exact: Means, row: int, weights: "torch.Tensor", block: FeatureBlock | None
) -> tuple[Means, Means]:
    """Means over the target and over the control, documents as they are, in float64.

    Args:
        exact: By the weights; there are no ranks among them.
        row: Which of the weights are the target's; the control's come next.
        weights: (2 x samples, n) of the sample's documents.
        block: The same documents, where there are ranks.
    """

    def side(row: int) -> Means:
        means = {name: one[row] if one.dim() else one for name, one in exact.items()}
        if block is not None and "rank" in block.columns:
            means["rank"] = block.ranks_of(weights[row] > 0)
        return means

    return side(row), side(row + 1)


def _first(sides: tuple[Means, Means], count: int) -> tuple[Means, Means]:
    """Means under the first draws alone."""
    target, control = (
        {name: values[:count] if values.dim() else values for name, values in side.items()} for side in sides
    )
    return target, control


def _by_labels(block: FeatureBlock, labelings: Sequence[Drawn]) -> Iterator[tuple[Means, Means]]:
    """Means over the target and over the control by each of some labels, some at a time."""
    n = len(block.totals)
    # Rounded once, as those of the draws are.
    mean_total = block.totals.double().mean()[None].to(block.totals.dtype)
    total = block.means(block.totals.new_full((n,), 1 / n), mean_total)
    for weights, share, total_drawn in labelings:
        target = block.means(weights, total_drawn)
        yield target, _others(total, target, share)


def _others(total: Means, target: Means, share: "torch.Tensor") -> Means:
    """Means over what is not target. None of them can be negative, but the rounding of a difference can."""
    return {
        name: (total[name] - share * part).div_(1 - share).clamp_min_(0) if part.dim() else part
        for name, part in target.items()
    }
