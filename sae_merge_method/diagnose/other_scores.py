"""What layers score by every other formula, and by the same one on either half of the sources.

A rule that takes other layers by them owes its choice to the score or to the documents, not to the model.
"""

from collections.abc import Callable, Sequence

import numpy as np
from tqdm.auto import tqdm

from sae_merge_method.artifacts.diagnosis import OtherScores
from sae_merge_method.artifacts.dictionary_scores import DictionaryScores
from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.document_matrices import DocumentMatrices, document_matrices
from sae_merge_method.diagnose.estimation import Estimate, estimate, estimate_of_halves, samples_for
from sae_merge_method.diagnose.resampling import half_samples
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES, Score
from sae_merge_method.layers import Unit
from sae_merge_method.saes.dictionaries import DICTIONARIES

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
        self._documents = documents
        self._samples = {
            row: [samples_for(row, documents, control, few) for control in documents.controls]
            for row in SCORES.values()
            if self._halvable or row.top_k is None
        }
        self._halves = [
            half_samples(documents, control, few) for control in documents.controls if self._halvable
        ]
        self._taken: dict[tuple[str, str], dict[Unit, float]] = {}

    def take(self, layer: Unit, matrices: DocumentMatrices) -> None:
        """Score a layer.

        Args:
            layer: Which.
            matrices: Of all documents, with what every score needs.
        """
        for row in self._samples:
            if row != self._score:
                self._taken.setdefault(("score", row.name), {})[layer] = self._scored(row, matrices)
        halves = [estimate_of_halves(self._score, matrices, of_control) for of_control in self._halves]
        for number, against in enumerate(zip(*halves, strict=True), start=1):
            self._taken.setdefault(("half", f"half {number}"), {})[layer] = _least_corrected(against)

    def by_mean_usage(self, usage: LayerUsage) -> dict[str, float]:
        """What a layer scores where another dictionary is used: by this formula, and by all that read mean
        usage alone, which cost little beside ranks and rates of every feature."""
        rows = [row for row in self._samples if row == self._score or row.needs == ("usage",)]
        needs = tuple(dict.fromkeys(need for row in rows for need in row.needs))
        matrices = document_matrices(usage, self._documents, needs)
        return {row.name: self._scored(row, matrices) for row in rows}

    def _scored(self, row: Score, matrices: DocumentMatrices) -> float:
        return _least_corrected([estimate(row, matrices, of_control) for of_control in self._samples[row]])

    def taken(self) -> tuple[OtherScores, ...]:
        """All that was scored."""
        return tuple(
            OtherScores.model_validate({"kind": kind, "name": name, "scores": scores})
            for (kind, name), scores in self._taken.items()
        )


def score_dictionaries(
    names: Sequence[str],
    layers: Sequence[Unit],
    read: Callable[[Unit, str], LayerUsage],
    documents: Documents,
    settings: ScoringSettings,
) -> tuple[DictionaryScores, ...]:
    """Score every layer as other dictionaries encode it; one layer and dictionary is in memory at a time.

    Args:
        names: The dictionaries.
        layers: Which layers.
        read: Gives what is used of a layer by a dictionary's name.
        documents: Of all sides.
        settings: The number of shuffles, and the seed.
    """
    ways = OtherWays(documents, settings)
    scored: list[DictionaryScores] = []
    for name in names:
        scores: dict[str, dict[Unit, float]] = {}
        for layer in tqdm(layers, desc=f"scoring {DICTIONARIES[name].words}", unit="layer", disable=None):
            for score, value in ways.by_mean_usage(read(layer, name)).items():
                scores.setdefault(score, {})[layer] = value
        scored.append(DictionaryScores(name=name, words=DICTIONARIES[name].words, scores=scores))
    return tuple(scored)


def _least_corrected(against: Sequence[Estimate]) -> float:
    """The least over controls, less the mean under shuffled labels where there are shuffles."""
    return min(one.score - (float(one.null.mean()) if len(one.null) else 0.0) for one in against)
