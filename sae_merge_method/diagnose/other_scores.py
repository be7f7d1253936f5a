"""What layers score by every other formula, and by the same one on either half of the sources.

A rule that takes other layers by them owes its choice to the score or to the documents, not to the model.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from sae_merge_method.artifacts.diagnosis import OtherScores
from sae_merge_method.artifacts.dictionary_scores import DictionaryScores
from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.asked import Ask, Estimate
from sae_merge_method.diagnose.document_matrices import document_matrices
from sae_merge_method.diagnose.estimation import estimates, mean_of
from sae_merge_method.diagnose.layer_by_layer import layer_by_layer
from sae_merge_method.diagnose.resampling import Sample, half_samples, whole_sample
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES, Score
from sae_merge_method.layers import Unit
from sae_merge_method.saes.dictionaries import DICTIONARIES

Way = tuple[str, str]
"""Kind and name of another way to score."""

SHUFFLES = 100
"""Enough for the mean under shuffled labels, which is all that is asked of them here."""


class OtherWays:
    """Scores layers in every other way.

    Args:
        documents: Of all sides.
        settings: The score that is not other, and the seed.
        samples: What that score reads of each control, where it is drawn: scores that read the same documents
            share the shuffles, and what is averaged under them.
    """

    def __init__(
        self, documents: Documents, settings: ScoringSettings, samples: Sequence[tuple[Sample, ...]] = ()
    ) -> None:
        few = settings.model_copy(
            update={"permutations": min(SHUFFLES, settings.permutations), "bootstrap": 0}
        )
        self._score = SCORES[settings.score]
        self._documents = documents
        of_sums, of_top = (samples, ()) if self._score.top_k is None else ((), samples)
        self.wholes: list[tuple[Sample, ...]] = list(of_sums) or [
            (whole_sample(documents, control, few),) for control in documents.controls
        ]
        halvable = all(
            len(np.unique(documents.source[documents.side == side])) > 1 for side in (0, *documents.controls)
        )
        self._halves = list(of_top) or [
            half_samples(documents, control, few) for control in documents.controls if halvable
        ]

    def asked(self) -> list[Ask]:
        """What to ask of a layer: every other score, and the same one of either half."""
        scores = [row for row in self._rows() if row != self._score]
        return [
            *(_few(row, samples) for row in scores for samples in self._samples(row)),
            *(_few(self._score, samples) for samples in self._halves),
        ]

    def taken(self, each: Sequence[tuple[Estimate, ...]]) -> dict[Way, float]:
        """What the layer scores.

        Args:
            each: The answers.
        """
        answers = iter(each)
        taken: dict[Way, float] = {}
        for row in self._rows():
            if row != self._score:
                of_controls = [mean_of(next(answers)) for _ in self._samples(row)]
                taken["score", row.name] = _least_corrected(of_controls)
        for number, against in enumerate(zip(*(next(answers) for _ in self._halves), strict=True), start=1):
            taken["half", f"half {number}"] = _least_corrected(against)
        return taken

    def by_mean_usage(self, usage: LayerUsage) -> dict[str, float]:
        """What a layer scores where another dictionary is used: by this formula, and by all that read mean
        usage alone, which cost little beside ranks and rates of every feature."""
        rows = [row for row in self._rows() if row == self._score or row.needs == ("usage",)]
        matrices = document_matrices(usage, self._documents)
        asked = [_few(row, samples) for row in rows for samples in self._samples(row)]
        each = iter(estimates(matrices, asked))
        return {row.name: _least_corrected([mean_of(next(each)) for _ in self._samples(row)]) for row in rows}

    def _rows(self) -> list[Score]:
        return [row for row in SCORES.values() if self._halves or row.top_k is None]

    def _samples(self, row: Score) -> Sequence[tuple[Sample, ...]]:
        """By control."""
        return self.wholes if row.top_k is None else self._halves


def _few(row: Score, samples: tuple[Sample, ...]) -> Ask:
    return Ask(row, samples, SHUFFLES, 0)


def other_scores(layers: Sequence[Unit], taken: Sequence[Mapping[Way, float]]) -> tuple[OtherScores, ...]:
    """What layers scored, by the way it was.

    Args:
        layers: Which.
        taken: From :meth:`OtherWays.taken`, by layer.
    """
    ways = taken[0] if taken else {}
    return tuple(
        OtherScores.model_validate(
            {"kind": kind, "name": name, "scores": {
                layer: of_layer[kind, name] for layer, of_layer in zip(layers, taken, strict=True)
            }}
        )
        for kind, name in ways
    )  # fmt: skip


class ReadBeside(Protocol):
    """Gives what is used of a layer by a dictionary's name."""

    def __call__(self, layer: Unit, /, name: str) -> LayerUsage:
        """All documents' usage."""
        ...


def score_dictionaries(
    names: Sequence[str],
    layers: Sequence[Unit],
    read: ReadBeside,
    documents: Documents,
    settings: ScoringSettings,
) -> tuple[DictionaryScores, ...]:
    """Score every layer as other dictionaries encode it; one layer a core is in memory at a time.

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
        each = layer_by_layer(
            layers,
            partial(read, name=name),
            ways.by_mean_usage,
            f"scoring {DICTIONARIES[name].where}",
        )
        for layer, of_layer in zip(layers, each, strict=True):
            for score, value in of_layer.items():
                scores.setdefault(score, {})[layer] = value
        scored.append(DictionaryScores(name=name, description=DICTIONARIES[name].where, scores=scores))
    return tuple(scored)


def _least_corrected(against: Sequence[Estimate]) -> float:
    """The least over controls, less the mean under shuffled labels where there are shuffles."""
    return min(one.score - (float(one.null.mean()) if len(one.null) else 0.0) for one in against)
