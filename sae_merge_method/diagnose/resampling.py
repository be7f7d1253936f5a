"""What a score is worth: shuffled labels and resampled sources, as weights of documents.

A source's documents are shuffled and drawn together, since they are alike for more reasons than their side.
Every layer sees the same shuffles and the same resamples, so that layers can be compared draw by draw.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.errors import CorpusError

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.settings import ScoringSettings

MANY_SOURCES = 128
"""From so many sources on, draws are made in float32. Of fewer, two shuffles may well score exactly the same,
which only float64 shows, and draws cost little."""

BLOCK_DRAWS = 256
"""Draws whose means over a block of features are computed together."""

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Sample(NamedTuple):
    """Documents of the target and of one control that are scored together, and their draws."""

    rows: Integers
    """(n,) which documents, the target's first."""
    is_target: Flags
    """(n,)"""
    shuffles: "torch.Tensor"
    """(P, n) from :func:`shuffled_weights`."""
    resamples: "torch.Tensor"
    """(R, n) from :func:`resampled_weights`."""

    @property
    def single(self) -> bool:
        """Whether draws are made in float32."""
        import torch

        return self.shuffles.dtype == torch.float32

    @property
    def n_target(self) -> int:
        """How many of the documents are the target's."""
        return int(self.is_target.sum())


def whole_sample(documents: Documents, control: int, settings: "ScoringSettings") -> Sample:
    """The target and one control with their draws.

    Args:
        documents: Of all sides.
        control: Number of the control.
        settings: Numbers of draws, and the seed.
    """
    return _sample(documents, np.flatnonzero(np.isin(documents.side, (0, control))), control, settings, 0)


def half_samples(documents: Documents, control: int, settings: "ScoringSettings") -> tuple[Sample, Sample]:
    """The same in two halves, each with half of the sources of either side and with draws of its own.

    Raises:
        CorpusError: A side has a single source.
    """
    in_first = np.zeros(len(documents.side), dtype=np.bool_)
    for side in (0, control):
        sources = np.unique(documents.source[documents.side == side])
        if len(sources) < 2:
            raise CorpusError(
                "a score of the top k needs two sources a side, to choose on one and measure on another"
            )
        # The target is halved alike for every control.
        mixed = np.random.default_rng([settings.seed, 2, side]).permutation(sources)
        in_first |= np.isin(documents.source, mixed[::2])
    wanted = np.isin(documents.side, (0, control))
    first, second = (
        _sample(documents, np.flatnonzero(wanted & (in_first == half)), control, settings, number)
        for number, half in ((1, True), (2, False))
    )
    return first, second


def _sample(
    documents: Documents, rows: Integers, control: int, settings: "ScoringSettings", half: int
) -> Sample:
    rows = rows[np.argsort(~documents.is_target[rows], kind="stable")]
    is_target, sources = documents.is_target[rows], documents.source[rows]
    seeds = [settings.seed, 1, half]
    shuffles = shuffled_weights(is_target, sources, settings.permutations, [settings.seed, 0, half, control])
    resamples = resampled_weights(is_target, sources, settings.bootstrap, [*seeds, 0], [*seeds, control])
    if len(np.unique(documents.source)) >= MANY_SOURCES:
        shuffles, resamples = shuffles.float(), resamples.float()
    return Sample(rows, is_target, shuffles, resamples)


def shuffled_weights(is_target: Flags, sources: Integers, count: int, seed: list[int]) -> "torch.Tensor":
    """(count, n) weights of the documents that a shuffle calls target: all alike, else 0.

    Labels of whole sources are shuffled: as many sources are called target as are.
    """
    import torch

    _, first, source = np.unique(sources, return_index=True, return_inverse=True)
    n_target = int(is_target[first].sum())
    order = np.random.default_rng(seed).random((count, len(first))).argsort(axis=1)
    chosen = np.zeros((count, len(first)))
    np.put_along_axis(chosen, order[:, :n_target], 1, axis=1)
    weights = chosen[:, source]
    return torch.from_numpy(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1))


def resampled_weights(
    is_target: Flags, sources: Integers, count: int, target_seed: list[int], control_seed: list[int]
) -> "torch.Tensor":
    """(count, n) weights of documents whose sources are drawn with replacement, each side within itself.

    The weights of a side sum to 1. Sides have seeds of their own, so that several controls can be compared
    with one resample of the target.
    """
    import torch

    weights = np.zeros((count, len(is_target)))
    for side, seed in ((is_target, target_seed), (~is_target, control_seed)):
        _, source = np.unique(sources[side], return_inverse=True)
        n = int(source.max()) + 1
        drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=count)[:, source]
        weights[:, side] = drawn / drawn.sum(axis=1, keepdims=True)
    return torch.from_numpy(weights)


class Drawn(NamedTuple):
    """Some draws of a sample's documents, laid out for many products."""

    weights: "torch.Tensor"
    """(r, n) what all draws give a document lies side by side, as sparse products read it."""
    share: "torch.Tensor"
    """(r, 1) how much of the documents have a weight."""
    total: "torch.Tensor"
    """(r, 1) mean usage over all features, rounded once: an error here is one of every feature's share."""


def draw_blocks(weights: "torch.Tensor", totals: npt.NDArray[np.float64]) -> list[Drawn]:
    """All draws, some at a time.

    Args:
        weights: (R, n) each row summing to 1.
        totals: (n,) usage of each document over all features.
    """
    import torch

    drawn = []
    for start in range(0, len(weights), BLOCK_DRAWS):
        block = weights[start : start + BLOCK_DRAWS]
        total = (block.double() @ torch.from_numpy(totals))[:, None].to(block.dtype)
        share = (block > 0).double().mean(1, keepdim=True).to(block.dtype)
        drawn.append(Drawn(block.mT.contiguous().mT, share, total))
    return drawn
