"""What a layer is asked for, a score of some documents under some of their draws, and what it answers."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.resampling import Sample
from sae_merge_method.diagnose.specificity import Score
from sae_merge_method.statistics.permutation import upper_tail

Draws = npt.NDArray[np.float64]

SINGLE = 1e-6
"""What float32 leaves open of a draw, as a share of all that its score can be."""


class Estimate(NamedTuple):
    """A score and its draws."""

    score: float
    drawn: float
    """The same in the precision of the draws: the labels as they are, scored as a shuffle is."""
    null: Draws
    """(P,) under each shuffle."""
    bootstrap: Draws
    """(R,) over each resample."""
    rounding: float
    """By how much a draw may miss its value."""
    contributions: Draws
    """(A,) of each feature that documents use, documents as they are."""

    @property
    def p(self) -> float:
        """How seldom shuffled labels score as much: like is compared with like."""
        return upper_tail(self.drawn, self.null, self.rounding).p


class Ask(NamedTuple):
    """What a layer is asked for."""

    score: Score
    samples: tuple[Sample, ...]
    """From :func:`~sae_merge_method.diagnose.estimation.samples_for`, with as many draws each. Two of one
    score of the top k choose features for each other."""
    shuffles: int | None = None
    """How many of the samples' shuffles to take; None for all."""
    resamples: int | None = None
    """How many of their resamples."""
