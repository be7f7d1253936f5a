"""What layers score by every other formula, and by the same one on either half of the sources.

A rule that takes other layers by them owes its choice to the score or to the documents, not to the model.
"""

from collections.abc import Sequence

import numpy as np

from sae_merge_method.artifacts.diagnosis import OtherScores
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.document_matrices import DocumentMatrices
from sae_merge_method.diagnose.estimation import Estimate, estimate, estimate_of_halves, samples_for
from sae_merge_method.diagnose.resampling import half_samples
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES

SHUFFLES = 100
"""Enough for the mean under shuffled labels, which is all that is asked of them here."""


class OtherWays:
    """Scores one layer after another in every other way.

    Args:
        documents: Of all sides.
        settings: The score that is not other, and the seed.
    """

    def __init__(self, documents: Documents, settings: ScoringSettings) -> None:
        few = settings.model_copy(
            update={"permutations": min(SHUFFLES, settings.permutations), "bootstrap": 0}
        )
        self.needs = tuple(dict.fromkeys(need for score in SCORES.values() for need in score.needs))
        self._score = SCORES[settings.score]
        self._halvable = all(
            len(np.unique(documents.source[documents.side == side])) > 1 for side in (0, *documents.controls)
        )
        scores = [row for row in SCORES.values() if row.name != settings.score]
        self._others = {
            row: [samples_for(row, documents, control, few) for control in documents.controls]
            for row in scores
            if self._halvable or row.top_k is None
        }
        self._halves = [
            half_samples(documents, control, few) for control in documents.controls if self._halvable
        ]
        self._taken: dict[tuple[str, str], dict[int, float]] = {}

    def take(self, layer: int, matrices: DocumentMatrices) -> None:
        """Score a layer.

        Args:
            layer: Which.
            matrices: Of all documents, with what every score needs.
        """
        for row, samples in self._others.items():
            by_control = [estimate(row, matrices, of_control) for of_control in samples]
            self._taken.setdefault(("score", row.name), {})[layer] = _least_corrected(by_control)
        halves = [estimate_of_halves(self._score, matrices, of_control) for of_control in self._halves]
        for number, against in enumerate(zip(*halves, strict=True), start=1):
            self._taken.setdefault(("half", f"half {number}"), {})[layer] = _least_corrected(against)

    def taken(self) -> tuple[OtherScores, ...]:
        """All that was scored."""
        return tuple(
            OtherScores.model_validate({"kind": kind, "name": name, "scores": scores})
            for (kind, name), scores in self._taken.items()
        )


def _least_corrected(against: Sequence[Estimate]) -> float:
    """The least over controls, less the mean under shuffled labels where there are shuffles."""
    return min(one.score - (float(one.null.mean()) if len(one.null) else 0.0) for one in against)
