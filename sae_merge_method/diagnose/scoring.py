"""From stored usage to scored layers: score, null, interval, top features. Needs no model."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from sae_merge_method.artifacts.draws import ScoreDraws
from sae_merge_method.artifacts.layer_diagnosis import Interval, Null, TopFeature
from sae_merge_method.artifacts.usage import Documents, LayerUsage
from sae_merge_method.diagnose.resampling import (
    DocumentMatrices,
    Draws,
    bootstrap_draws,
    document_matrices,
    null_draws,
    resampled_weights,
    shuffled_weights,
)
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES, Means, Score
from sae_merge_method.statistics.intervals import basic_bootstrap
from sae_merge_method.statistics.multiplicity import benjamini_hochberg
from sae_merge_method.statistics.permutation import upper_tail

TOP_FEATURES = 10

LEVEL = 0.95
"""Of intervals, and of the null's band."""


class ScoredLayer(NamedTuple):
    """One layer's numbers, ready for the diagnosis."""

    layer: int
    score: float
    null: Null | None
    interval: Interval | None
    top_features: tuple[TopFeature, ...]


class Scoring(NamedTuple):
    """All layers, and the draws behind their nulls and intervals."""

    layers: tuple[ScoredLayer, ...]
    draws: ScoreDraws


class _Measured(NamedTuple):
    score: float
    null: Draws
    bootstrap: Draws
    top_features: tuple[TopFeature, ...]


def score_layers(
    layers: Sequence[int],
    read_layer: Callable[[int], LayerUsage],
    documents: Documents,
    settings: ScoringSettings,
) -> Scoring:
    """Score every layer on the same shuffles and resamples; one layer is in memory at a time.

    Args:
        layers: Which layers, ascending.
        read_layer: Gives a layer's stored usage.
        documents: The documents behind it; both sides must be there.
        settings: The score, numbers of draws (0 for none) and seed.
    """
    score = SCORES[settings.score]
    shuffles = shuffled_weights(documents.is_target, settings.permutations, settings.seed)
    resamples = resampled_weights(documents.is_target, settings.bootstrap, settings.seed)
    n_target = int(documents.is_target.sum())
    measured = []
    for layer in tqdm(layers, desc="scoring layers", unit="layer", disable=None):
        usage = read_layer(layer)
        matrices = document_matrices(usage, documents, score.needs)
        target, control = _sides(matrices, documents)
        contributions = score.contributions(target, control)
        value = float(score.reduce(contributions))
        measured.append(
            _Measured(
                score=value,
                null=null_draws(score, matrices, shuffles, n_target),
                bootstrap=bootstrap_draws(score, matrices, resamples, documents.is_target),
                top_features=_top_features(score, value, contributions.numpy(), usage, documents),
            )
        )
    q_values = benjamini_hochberg([upper_tail(entry.score, entry.null).p for entry in measured])
    return Scoring(
        layers=tuple(
            ScoredLayer(
                layer=layer,
                score=entry.score,
                null=_null(entry.score, entry.null, q) if len(entry.null) else None,
                interval=_interval(entry.score, entry.bootstrap)
                if len(entry.bootstrap) and score.has_interval
                else None,
                top_features=entry.top_features,
            )
            for layer, entry, q in zip(layers, measured, q_values, strict=True)
        ),
        draws=ScoreDraws(
            layers=np.array(layers, dtype=np.int64),
            null=np.stack([entry.null for entry in measured], axis=1),
            bootstrap=np.stack([entry.bootstrap for entry in measured], axis=1),
        ),
    )


def _null(score: float, draws: Draws, q_value: float) -> Null:
    """What is stored of one layer's shuffles."""
    mean = float(draws.mean())
    return Null(
        permutations=len(draws),
        mean=mean,
        sd=float(draws.std()),
        high=float(np.quantile(draws, LEVEL)),
        p=upper_tail(score, draws).p,
        q=q_value,
        corrected=score - mean,
    )


def _interval(score: float, draws: Draws) -> Interval:
    """What is stored of one layer's resamples."""
    return Interval(level=LEVEL, **basic_bootstrap(score, draws, LEVEL)._asdict(), resamples=len(draws))


def _sides(matrices: DocumentMatrices, documents: Documents) -> tuple[Means, Means]:
    """Means over the target's and over the control's documents."""
    import torch

    target = torch.from_numpy(documents.is_target).double()
    control = 1 - target
    return matrices.means(target / target.sum()), matrices.means(control / control.sum())


def _top_features(
    score: Score,
    value: float,
    contributions: np.ndarray[tuple[int], np.dtype[np.float64]],
    usage: LayerUsage,
    documents: Documents,
) -> tuple[TopFeature, ...]:
    """The features with the largest contributions, ties to the lower index."""
    means = document_matrices(usage, documents, ("usage", "rate"))
    target, control = _sides(means, documents)
    whole = value * (score.top_k or 1)
    top = []
    for column in np.argsort(-contributions, kind="stable")[:TOP_FEATURES]:
        if contributions[column] <= 0:
            break
        top.append(
            TopFeature(
                feature=int(means.features[column]),
                share=float(contributions[column] / whole) if whole else 0.0,
                target=float(target["usage"][column]),
                control=float(control["usage"][column]),
                target_rate=min(1.0, float(target["rate"][column])),
                control_rate=min(1.0, float(control["rate"][column])),
            )
        )
    return tuple(top)
