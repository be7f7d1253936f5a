"""From stored usage to scored layers: score, null, interval, top features. Needs no model."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sae_merge_method.artifacts.diagnosis import OtherScores
from sae_merge_method.artifacts.draws import ScoreDraws, numbered
from sae_merge_method.artifacts.layer_diagnosis import AgainstControl, Interval, Null, TopFeature
from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import NOTHING_TAKEN, Documents, Surface, SurfaceNames
from sae_merge_method.diagnose.asked import Ask, Draws, Estimate
from sae_merge_method.diagnose.document_matrices import DocumentMatrices, document_matrices
from sae_merge_method.diagnose.estimation import estimates, mean_of, samples_for, side_weights
from sae_merge_method.diagnose.layer_by_layer import layer_by_layer
from sae_merge_method.diagnose.other_scores import OtherWays, Way, other_scores
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES, Score
from sae_merge_method.diagnose.surface import SurfaceScores, score_surface
from sae_merge_method.layers import LayerModule, Unit, layer_of, part_of_layer
from sae_merge_method.statistics.intervals import LEVEL, basic_bootstrap
from sae_merge_method.statistics.multiplicity import benjamini_hochberg

TOP_FEATURES = 10


class ScoredLayer(NamedTuple):
    """The numbers of one layer, or of one part of it, ready for the diagnosis."""

    layer: int
    part: str | None
    score: float
    null: Null | None
    interval: Interval | None
    against: tuple[AgainstControl, ...]
    top_features: tuple[TopFeature, ...]
    without: dict[str, float]
    twins: dict[str, float]
    with_outliers: float | None

    @property
    def unit(self) -> Unit:
        """The layer, or its part."""
        return self.layer if self.part is None else LayerModule(self.layer, self.part)


class Scoring(NamedTuple):
    """All layers, and the draws behind their nulls and intervals."""

    layers: tuple[ScoredLayer, ...]
    draws: ScoreDraws
    others: tuple[OtherScores, ...]
    """What the layers score in other ways."""


class _Layer(NamedTuple):
    """What there is of one layer."""

    usage: LayerUsage
    surface: Surface | None
    outliers: LayerUsage | None


class _Measured(NamedTuple):
    against: tuple[Estimate, ...]
    """By control."""
    top_features: tuple[TopFeature, ...]
    surface: SurfaceScores
    with_outliers: float | None
    others: dict[Way, float]

    @property
    def least(self) -> int:
        """The control that scores least."""
        return int(np.argmin([estimate.score for estimate in self.against]))

    @property
    def p(self) -> float:
        """That the target differs from no control is refuted as far as the hardest one goes (Berger 1982)."""
        return max(estimate.p for estimate in self.against)


def score_layers(
    layers: Sequence[Unit],
    read_layer: Callable[[Unit], LayerUsage],
    documents: Documents,
    settings: ScoringSettings,
    controls: Sequence[str],
    read_surface: Callable[[Unit], Surface] | None = None,
    names: SurfaceNames = NOTHING_TAKEN,
    read_outliers: Callable[[Unit], LayerUsage] | None = None,
) -> Scoring:
    """Score every layer on the same shuffles and resamples; one layer a core is in memory at a time.

    Args:
        layers: Which layers, or parts of layers, ascending.
        read_layer: Gives a layer's stored usage.
        documents: The documents behind it; all sides must be there.
        settings: The score, numbers of draws (0 for none) and seed.
        controls: Names of the controls, in their order.
        read_surface: Gives what a layer uses of texts with something taken away.
        names: What is taken away there.
        read_outliers: Gives what a layer uses on the outliers that do not count.

    Raises:
        CorpusError: The score needs two sources a side, and a side has one.
    """
    score = SCORES[settings.score]
    samples = [samples_for(score, documents, control, settings) for control in documents.controls]
    others = OtherWays(documents, settings, samples)
    no_draws = settings.model_copy(update={"permutations": 0, "bootstrap": 0})
    undrawn = [samples_for(score, documents, control, no_draws) for control in documents.controls]

    def read(layer: Unit) -> _Layer:
        return _Layer(
            read_layer(layer),
            read_surface(layer) if read_surface else None,
            read_outliers(layer) if read_outliers else None,
        )

    def measure(layer: _Layer) -> _Measured:
        matrices = document_matrices(layer.usage, documents)
        asked = [Ask(score, of_control) for of_control in samples]
        undivided = [Ask(score, of_control, 0, 0) for of_control in others.wholes]
        answers = iter(estimates(matrices, [*asked, *undivided, *others.asked()]))
        against = tuple(mean_of(next(answers)) for _ in asked)
        over_all = [mean_of(next(answers)).contributions for _ in undivided]
        least = int(np.argmin([entry.score for entry in against]))
        taken = SurfaceScores({}, {})
        if layer.surface is not None:
            taken = score_surface(score, layer.usage, layer.surface, documents, names)
        with_outliers = None
        if layer.outliers is not None and layer.outliers.tokens.any():
            all_tokens = document_matrices(layer.usage.plus(layer.outliers), documents)
            lifted = estimates(all_tokens, [Ask(score, of_control) for of_control in undrawn])
            with_outliers = min(mean_of(one).score for one in lifted)
        top_features = _top_features(score, matrices, over_all[least], documents, least + 1)
        return _Measured(against, top_features, taken, with_outliers, others.taken(list(answers)))

    measured = layer_by_layer(layers, read, measure, "scoring layers")
    q_values = benjamini_hochberg([entry.p for entry in measured])
    return Scoring(
        layers=tuple(
            _scored(layer, entry, q, controls)
            for layer, entry, q in zip(layers, measured, q_values, strict=True)
        ),
        draws=ScoreDraws(
            *numbered(layers),
            null=_stacked([[one.null for one in entry.against] for entry in measured]),
            bootstrap=_stacked([[one.bootstrap for one in entry.against] for entry in measured]),
        ),
        others=other_scores(layers, [entry.others for entry in measured]),
    )


def _stacked(draws: list[list[Draws]]) -> Draws:
    """(C, R, L) of L layers with C arrays (R,) each."""
    return np.ascontiguousarray(np.moveaxis(np.array(draws), 0, 2))


def _scored(unit: Unit, measured: _Measured, q_value: float, controls: Sequence[str]) -> ScoredLayer:
    each = tuple(
        AgainstControl(
            control=name,
            score=one.score,
            null=_null(one, one.p, q_value) if len(one.null) else None,
            interval=_interval(one.score, one.bootstrap) if len(one.bootstrap) else None,
        )
        for name, one in zip(controls, measured.against, strict=True)
    )
    decides = each[measured.least]
    null = decides.null
    if null is not None:
        corrected = min(one.null.corrected for one in each if one.null)
        null = null.model_copy(update={"p": measured.p, "corrected": corrected})
    interval = decides.interval
    if interval is not None:
        # The least score has an interval of its own: which control scores least may change from draw to draw.
        interval = _interval(decides.score, np.min([one.bootstrap for one in measured.against], axis=0))
    several = each if len(each) > 1 else ()
    return ScoredLayer(
        layer_of(unit), part_of_layer(unit), decides.score, null, interval, several, measured.top_features,
        *measured.surface, measured.with_outliers,
    )  # fmt: skip


def _null(estimate: Estimate, p: float, q_value: float) -> Null:
    """What is stored of one layer's shuffles."""
    draws = estimate.null
    mean = float(draws.mean())
    return Null(
        permutations=len(draws),
        mean=mean,
        sd=float(draws.std()),
        high=float(np.quantile(draws, LEVEL)),
        p=p,
        q=q_value,
        corrected=estimate.score - mean,
    )


def _interval(score: float, draws: Draws) -> Interval:
    """What is stored of one layer's resamples."""
    return Interval(level=LEVEL, **basic_bootstrap(score, draws, LEVEL)._asdict(), resamples=len(draws))


def _top_features(
    score: Score, matrices: DocumentMatrices, contributions: Draws, documents: Documents, control: int
) -> tuple[TopFeature, ...]:
    """The features with the largest contributions (A,) over all documents, ties to the lower index."""
    import torch

    largest = np.argsort(-contributions, kind="stable")[:TOP_FEATURES]
    largest = largest[contributions[largest] > 0]
    whole = float(score.reduce(torch.from_numpy(contributions))) * (score.top_k or 1)
    rows = np.flatnonzero(np.isin(documents.side, (0, control)))
    entries = matrices.chosen(largest)
    means = entries.exact(entries.sparse(("usage", "rate"))).means(
        side_weights([(rows, documents.is_target[rows])], len(documents.side))
    )
    usage, rate = means["usage"].tolist(), means["rate"].tolist()
    return tuple(
        TopFeature(
            feature=int(matrices.features[column]),
            share=float(contributions[column]) / whole if whole else 0.0,
            target=usage[0][nth],
            control=usage[1][nth],
            target_rate=min(1.0, rate[0][nth]),
            control_rate=min(1.0, rate[1][nth]),
        )
        for nth, column in enumerate(largest)
    )
