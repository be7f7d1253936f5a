"""A score that takes one block of a layer's features after another, under all draws at once.

Whose turn it is, and what a block's means are, is for the estimation.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from sae_merge_method.diagnose.asked import SINGLE, Ask, Draws, Estimate
from sae_merge_method.diagnose.document_matrices import DocumentMatrices
from sae_merge_method.diagnose.entries import Entries
from sae_merge_method.diagnose.feature_block import FeatureBlock
from sae_merge_method.diagnose.resampling import Drawn, Sample, draw_blocks
from sae_merge_method.diagnose.specificity import Means, Score

if TYPE_CHECKING:
    import torch

Integers = npt.NDArray[np.int64]


def _resamples(sample: Sample, count: int, matrices: DocumentMatrices) -> list[tuple[Drawn, Drawn]]:
    """A sample's first resamples, some at a time: of the target's documents, and of the control's."""
    n_target, totals = sample.n_target, matrices.totals[sample.rows]
    drawn = sample.resamples[:count]
    target = draw_blocks(drawn[:, :n_target], totals[:n_target])
    return list(zip(target, draw_blocks(drawn[:, n_target:], totals[n_target:]), strict=True))


def _over_resamples(
    score: Score, block: FeatureBlock, n_target: int, resamples: Sequence[tuple[Drawn, Drawn]]
) -> Iterator["torch.Tensor"]:
    """(r, a) contributions over resamples, some at a time; the target's documents come first."""
    sides = block.part(0, n_target), block.part(n_target, len(block.totals))
    for drawn in resamples:
        target, control = (side.means(one.weights, one.total) for side, one in zip(sides, drawn, strict=True))
        yield score.contributions(target, control)


class RunningScore(ABC):
    """A score that takes one block of features after another."""

    def __init__(self, matrices: DocumentMatrices, ask: Ask) -> None:
        self.score, self.samples = ask.score, ask.samples
        self.matrices = matrices
        first = ask.samples[0]
        self.labelings = 1 + len(first.shuffles[: ask.shuffles])
        self.resamples = len(first.resamples[: ask.resamples])
        self.whole = [np.zeros(len(matrices.features)) for _ in ask.samples]
        self._nth_draw = 0

    @property
    def labelings_left(self) -> int:
        """How many of the labelings did not come yet in this block."""
        return self.labelings - self._nth_draw

    def contributions(self, means: tuple[Means, Means]) -> "torch.Tensor":
        """What a block's features contribute, from their means over target and over control."""
        return self.score.contributions(*means)

    def take_whole(self, positions: Integers, values: Sequence["torch.Tensor"]) -> None:
        """Contributions (a,) of a block's features in each sample, documents as they are."""
        self._nth_draw = 0
        for whole, part in zip(self.whole, values, strict=True):
            whole[positions] = part.numpy()

    def _drawn(self, values: "torch.Tensor") -> slice:
        """Which of the draws come next."""
        start, self._nth_draw = self._nth_draw, self._nth_draw + len(values)
        return slice(start, self._nth_draw)

    @abstractmethod
    def take_shuffled(self, values: Sequence["torch.Tensor"]) -> None:
        """Contributions (r, a) of the block's features in each sample: under the labels as they are, and
        then under shuffle after shuffle."""

    @abstractmethod
    def take_resampled(self, entries: Entries, blocks: Sequence[FeatureBlock]) -> None:
        """The block's features over all resamples.

        Args:
            entries: The block.
            blocks: As it is laid out for each sample.
        """

    @abstractmethod
    def estimates(self) -> tuple[Estimate, ...]:
        """An estimate from each sample, after the last block."""

    def _estimate(self, score: float, whole: Draws, labelings: Draws, bootstrap: Draws) -> Estimate:
        low, high = self.score.bounds
        rounding = SINGLE * (high - low) if self.samples[0].single else 0.0
        return Estimate(score, float(labelings[0]), labelings[1:], bootstrap, rounding, whole)


class _Sums(RunningScore):
    """Sums over features, for each sample by itself."""

    def __init__(self, matrices: DocumentMatrices, ask: Ask) -> None:
        super().__init__(matrices, ask)
        self._null = [np.zeros(self.labelings) for _ in ask.samples]
        self._bootstrap = [np.zeros(self.resamples) for _ in ask.samples]
        self._resamples = [_resamples(sample, self.resamples, matrices) for sample in ask.samples]

    @override
    def take_shuffled(self, values: Sequence["torch.Tensor"]) -> None:
        draws = self._drawn(values[0])
        for null, part in zip(self._null, values, strict=True):
            null[draws] += _summed(part)

    @override
    def take_resampled(self, entries: Entries, blocks: Sequence[FeatureBlock]) -> None:
        each = zip(self.samples, self._resamples, blocks, self._bootstrap, strict=True)
        for sample, resamples, laid_out, bootstrap in each:
            if not resamples:
                continue
            if "rank" in self.score.needs:
                block = entries.of(sample.rows, self.score.needs, sample.n_target)
            else:
                block = laid_out.only(self.score.needs)
            start = 0
            for part in _over_resamples(self.score, block, sample.n_target, resamples):
                bootstrap[start : start + len(part)] += _summed(part)
                start += len(part)

    @override
    def estimates(self) -> tuple[Estimate, ...]:
        return tuple(
            self._estimate(float(whole.sum()), whole, null, bootstrap)
            for whole, null, bootstrap in zip(self.whole, self._null, self._bootstrap, strict=True)
        )


class _Largest:
    """The k largest of each row's values so far, and what was measured with them.

    Ties fall alike in every row, whichever way: a choice under the true labels is made as under shuffled
    ones.
    """

    def __init__(self, rows: int, k: int) -> None:
        self._k = k
        self._values = np.full((rows, k), -np.inf)
        self.measured = np.zeros((rows, k))

    def take(self, rows: slice, values: "torch.Tensor", measured: "torch.Tensor") -> None:
        """Values (r, a) and measured (r, a) of some rows."""
        import torch

        candidates = torch.cat([torch.from_numpy(self._values[rows]).to(values.dtype), values], 1)
        beside = torch.cat([torch.from_numpy(self.measured[rows]).to(measured.dtype), measured], 1)
        top = candidates.topk(self._k, dim=1)
        self._values[rows] = top.values.numpy()
        self.measured[rows] = beside.gather(1, top.indices).numpy()


class _Chosen(RunningScore):
    """The mean contribution, in one half, of the features that contribute most in the other.

    A shuffle chooses anew, since the null is of the whole procedure. A resample does not: what is asked is
    how well the score of the features that were chosen is known.
    """

    def __init__(self, matrices: DocumentMatrices, ask: Ask) -> None:
        super().__init__(matrices, ask)
        k = min(ask.score.top_k or 1, len(matrices.features))
        self._null = [_Largest(self.labelings, k) for _ in ask.samples]
        # Measured are the features' own places.
        self._chosen = [_Largest(1, k) for _ in ask.samples]

    @override
    def take_whole(self, positions: Integers, values: Sequence["torch.Tensor"]) -> None:
        import torch

        super().take_whole(positions, values)
        places = torch.from_numpy(positions).double()[None]
        for chosen, chooses in zip(self._chosen, reversed(values), strict=True):
            chosen.take(slice(1), chooses[None], places)

    @override
    def take_shuffled(self, values: Sequence["torch.Tensor"]) -> None:
        draws = self._drawn(values[0])
        for null, chooses, measured in zip(self._null, reversed(values), values, strict=True):
            null.take(draws, chooses, measured)

    @override
    def take_resampled(self, entries: Entries, blocks: Sequence[FeatureBlock]) -> None:
        """Nothing yet: which features are chosen is known after the last block."""

    @override
    def estimates(self) -> tuple[Estimate, ...]:
        return tuple(
            self._estimate(
                _mean(whole[None, chosen.measured[0].astype(np.int64)])[0],
                whole,
                _mean(null.measured),
                self._resampled(chosen.measured[0].astype(np.int64), sample),
            )
            for whole, chosen, null, sample in zip(
                self.whole, self._chosen, self._null, self.samples, strict=True
            )
        )

    def _resampled(self, chosen: Integers, sample: Sample) -> Draws:
        if not (len(chosen) and self.resamples):
            return np.zeros(self.resamples)
        entries = self.matrices.chosen(chosen)
        block = entries.of(sample.rows, self.score.needs, sample.n_target)
        resamples = _resamples(sample, self.resamples, self.matrices)
        drawn = _over_resamples(self.score, block, sample.n_target, resamples)
        return np.concatenate([_summed(part) for part in drawn]) / len(chosen)


def _summed(values: "torch.Tensor") -> Draws:
    """(r,) sums over features, in float64 whatever was summed."""
    import torch

    return np.asarray(values.sum(-1, dtype=torch.float64).numpy())


def _mean(values: Draws) -> Draws:
    """Means over features; 0 where there are none."""
    return np.asarray(values.sum(axis=1) / max(1, values.shape[1]))


def running_score(matrices: DocumentMatrices, ask: Ask) -> RunningScore:
    """What takes the blocks of a layer for what is asked."""
    return _Sums(matrices, ask) if ask.score.top_k is None else _Chosen(matrices, ask)
