"""From what passes through features to what an attribution says of it: layers, features, snippets, sums.

A feature counts for the target as far as the target uses it more than the controls do, by
``(m_T - m_C) / (m_T + m_C)`` of mean activations, base's and edited's: a graded measure, since a hard cut at
"never used" differs from one training of an SAE to the next.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.attributed_features import AttributedFeature, AttributedFeatures
from sae_merge_method.artifacts.layer_diagnosis import SaeSource
from sae_merge_method.attribute.feature_chunks import FeatureChunks
from sae_merge_method.attribute.features import Passed
from sae_merge_method.attribute.texts import Text
from sae_merge_method.corpora.batches import Batch
from sae_merge_method.corpora.snippets import snippet
from sae_merge_method.corpora.tokens import special_token_ids
from sae_merge_method.loaded.text_model import TextModel

Floats = npt.NDArray[np.float64]

_NONE: Floats = np.zeros((0, 0))

TOP = 10
"""Features of a layer that are kept for each text."""
SHOWN = 5
"""Of those, how many get snippets."""
DRAWS = 1000
"""How often preferences are dealt out anew."""
ALIKE = 10
"""Features, neighbours in use, among which they are. More of them are not alike: what an edit does through a
feature grows with its use, and so may how much more the target seems to use it than the controls do."""


class FeatureSums(NamedTuple):
    """Of one text, by layer: the fields of that name of an attribution's sums."""

    through_features: Floats = _NONE
    apart: Floats = _NONE
    through_error: Floats = _NONE
    dealt: Floats = _NONE


class TextFeatures(NamedTuple):
    """What an edit does through features on one text."""

    layers: dict[int, AttributedFeatures]
    sums: FeatureSums


NO_FEATURES = TextFeatures({}, FeatureSums())
"""Where no SAE was asked."""


def sum_features(
    chunks: FeatureChunks,
    sources: dict[int, SaeSource],
    texts: Sequence[Text],
    model: TextModel,
    snippets: int,
) -> list[TextFeatures]:
    """Sum up what passes through features on all texts.

    Args:
        chunks: With all chunks there.
        sources: The SAEs, by layer.
        texts: The target, then the controls.
        model: For snippets.
        snippets: How many of each of a layer's first features.
    """
    described: list[dict[int, AttributedFeatures]] = [{} for _ in texts]
    columns: list[list[FeatureSums]] = [[] for _ in texts]
    for layer, source in sources.items():
        of_texts = [chunks.passed(nth, layer) for nth in range(len(texts))]
        means = [_usage(one, source.d_sae) for one in of_texts]
        preference = preferences(means[0].mean(0), np.max([one.mean(0) for one in means[1:]], axis=0))
        for nth, (text, one) in enumerate(zip(texts, of_texts, strict=True)):
            sums = _sums(one, len(text.groups), preference, means[0].mean(0), layer, is_target=nth == 0)
            columns[nth].append(sums)
            top = _top(one, means[nth], preference, float(text.tokens.sum()))
            shown = _with_snippets(top, one, chunks.batches(nth), model, snippets)
            described[nth][layer] = _layer(one, sums, float(text.tokens.sum()), shown)
    return [
        TextFeatures(of_text, FeatureSums(*(np.stack(parts, axis=1) for parts in zip(*sums, strict=True))))
        for of_text, sums in zip(described, columns, strict=True)
    ]


def preferences(target: Floats, control: Floats) -> Floats:
    """(F,) how far the controls leave each feature to the target, 0 to 1.

    Args:
        target: (F,) mean activations on the target.
        control: (F,) on the control that uses each most.
    """
    used = target + control
    return np.maximum(0.0, np.divide(target - control, used, out=np.zeros_like(used), where=used > 0))


def dealt(gains: Floats, preference: Floats, use: Floats, seed: int) -> Floats:
    """(R,) what would pass apart if preferences had nothing to do with what the edit acts through.

    Preferences are dealt out at random among features of like use on the target. It takes features that are
    used about as much to be exchangeable, and leaves the edit's effects as they are.

    Args:
        gains: (F,) nats gained through each feature.
        preference: (F,)
        use: (F,) mean activation on the target; features without any are not dealt to.
        seed: Of the draws.
    """
    draws = np.random.default_rng(seed)
    in_use = np.flatnonzero(use > 0)
    total = np.zeros(DRAWS)
    strata = max(1, round(len(in_use) / ALIKE))
    for stratum in np.array_split(in_use[np.argsort(use[in_use], kind="stable")], strata):
        shuffled = draws.permuted(np.tile(preference[stratum], (DRAWS, 1)), axis=1)
        total += shuffled @ gains[stratum]
    return total


def _usage(passed: Passed, d_sae: int) -> Floats:
    """(2, F) mean activations over the tokens that count, base and edited."""
    tokens = max(1, int(passed.tokens.sum()))
    return np.stack([_summed(passed.feature, sums, d_sae) / tokens for sums in (passed.base, passed.edited)])


def _summed(at: npt.NDArray[np.int32], values: Floats, n: int) -> Floats:
    """(n,) sums of the values at each number."""
    return np.asarray(np.bincount(at, values, n), dtype=np.float64)


def _sums(
    passed: Passed, n_groups: int, preference: Floats, use: Floats, layer: int, *, is_target: bool
) -> FeatureSums:
    group = passed.group[passed.batch]
    features = _summed(group, passed.gain, n_groups)
    error = _summed(passed.group, passed.effect, n_groups) - features
    if not is_target:
        return FeatureSums(features, np.zeros(0), error, np.zeros(0))
    gains = _summed(passed.feature, passed.gain, len(preference))
    apart = _summed(group, passed.gain * preference[passed.feature], n_groups)
    return FeatureSums(features, apart, error, dealt(gains, preference, use, layer))


def _top(passed: Passed, means: Floats, preference: Floats, predicted: float) -> list[AttributedFeature]:
    gains = _summed(passed.feature, passed.gain, len(preference))
    first = np.argsort(-np.abs(gains), kind="stable")[:TOP]
    return [
        AttributedFeature(
            feature=int(feature),
            gain=float(gains[feature]) / predicted,
            base=float(means[0, feature]),
            edited=float(means[1, feature]),
            preference=float(preference[feature]),
        )
        for feature in first
        if gains[feature]
    ]


def _with_snippets(
    top: Sequence[AttributedFeature], passed: Passed, batches: Sequence[Batch], model: TextModel, count: int
) -> tuple[AttributedFeature, ...]:
    """The first features with the text around the tokens where each acts most, no two of one batch."""
    special = special_token_ids(model.tokenizer, *model.configs) if count else frozenset()

    def around(feature: int) -> tuple[str, ...]:
        entries = np.flatnonzero(passed.feature == feature)
        strongest = entries[np.argsort(-passed.peak[entries], kind="stable")][:count]
        return tuple(
            _snippet(model, batches[passed.batch[nth]], int(passed.token[nth]), special) for nth in strongest
        )

    return tuple(
        one.model_copy(update={"snippets": around(one.feature)}) if nth < SHOWN and count else one
        for nth, one in enumerate(top)
    )


def _snippet(model: TextModel, batch: Batch, token: int, special: frozenset[int]) -> str:
    ends = np.cumsum(batch.attention.sum(1))
    row = int(np.searchsorted(ends, token, side="right"))
    ids = batch.ids[row][batch.attention[row]]
    shown = ~np.isin(ids, np.array(sorted(special), dtype=np.int64))
    return snippet(model.tokenizer, ids, shown, token - int(ends[row] - len(ids)))


def _layer(
    passed: Passed, sums: FeatureSums, predicted: float, top: tuple[AttributedFeature, ...]
) -> AttributedFeatures:
    features, error = (float(one.sum()) / predicted for one in (sums.through_features, sums.through_error))
    return AttributedFeatures(
        effect=float(passed.effect.sum()) / predicted,
        features=features,
        error=error,
        uncounted=float(passed.uncounted.sum()) / predicted,
        apart=float(sums.apart.sum()) / predicted if len(sums.apart) else None,
        tokens=int(passed.tokens.sum()),
        top=top,
    )
