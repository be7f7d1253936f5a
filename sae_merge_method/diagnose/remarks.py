"""What a finished diagnosis says beside its scores: which tokens were left out, and what its reader must
know."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.artifacts.layer_diagnosis import LITTLE_EXPLAINED, LayerDiagnosis, named_tokens
from sae_merge_method.artifacts.left_out import FrequentToken, LeftOut
from sae_merge_method.diagnose.encoded_layer import EncodedLayer
from sae_merge_method.diagnose.sides import UNLIKE, Sides
from sae_merge_method.layers import format_layers, units_word
from sae_merge_method.saes.dictionaries import DICTIONARIES

logger = logging.getLogger(__name__)

FREQUENT = 10
"""Tokens that are named of those that a layer leaves out."""


def describe_left_out(encoded: EncodedLayer, sides: Sides, decode: Callable[[int], str]) -> LeftOut:
    """Which tokens a layer left out.

    Args:
        encoded: The layer.
        sides: All documents.
        decode: The text of a token.
    """
    side = sides.labels.side
    outliers = np.array([len(ids) for ids in encoded.outlier_ids])
    tokens = encoded.usage.tokens.astype(np.int64) + encoded.outliers.tokens
    first = Counter(int(document.ids[0]) for document in sides.documents if document.own_first)
    all_left = first + Counter(int(token) for ids in encoded.outlier_ids for token in ids)
    most = sorted(all_left.items(), key=lambda entry: (-entry[1], entry[0]))[:FREQUENT]
    median = encoded.scale.norm
    return LeftOut(
        median_norm=median,
        first_norm=encoded.scale.first / median if median else 0.0,
        outliers=int(outliers.sum()),
        shares=tuple(
            float(outliers[side == nth].sum() / tokens[side == nth].sum())
            for nth in range(int(side.max()) + 1)
        ),
        first=first.total(),
        share_first=first.total() / all_left.total() if all_left else 0.0,
        tokens=tuple(
            FrequentToken(text=decode(token), count=count, first=first[token]) for token, count in most
        ),
    )


def warn(diagnosis: Diagnosis) -> None:
    """Warn of what is wrong with a diagnosis that can be gone on with."""
    _where_little_is_explained(diagnosis)
    _where_outliers_explain_little(diagnosis)
    _where_outliers_count(diagnosis)
    _where_sides_differ(diagnosis)


def _where_little_is_explained(diagnosis: Diagnosis) -> None:
    """Say which SAEs do not fit the activations: their scores mean little."""
    poor = [
        entry
        for entry in diagnosis.layers
        if entry.explained_variance < LITTLE_EXPLAINED and entry.sae.release not in DICTIONARIES
    ]
    if poor:
        logger.warning(
            "SAEs explain less than %.0f %% of this model's activations in %d of %d %s (%s): "
            "were they trained on this model and at this place?",
            100 * LITTLE_EXPLAINED,
            len(poor),
            len(diagnosis.layers),
            units_word(diagnosis.units),
            ", ".join(f"{_layers([entry])}: {entry.explained_variance:.2f}" for entry in poor[:6]),
        )


def _where_outliers_explain_little(diagnosis: Diagnosis) -> None:
    """What SAELens' figure would be low by: not the SAEs' fault."""
    fooled = [
        entry
        for entry in _with_outliers(diagnosis)
        if entry.explained_with_outliers is not None
        and entry.explained_with_outliers < LITTLE_EXPLAINED <= entry.explained_variance
    ]
    if fooled:
        worst = min(fooled, key=lambda entry: entry.explained_with_outliers or 0)
        logger.warning(
            "in %s SAEs explain little of outlier tokens such as %s, and much of all others: over all "
            "tokens together %s would come to %.2f, of the median token it explains %.2f",
            _layers(fooled), named_tokens(fooled), _layers([worst]),
            worst.explained_with_outliers, worst.explained_variance,
        )  # fmt: skip


def _where_outliers_count(diagnosis: Diagnosis) -> None:
    having = _with_outliers(diagnosis)
    if having and diagnosis.settings.get("outlier_norm") == "none":
        logger.warning(
            "outlier tokens such as %s count in %s: a few of them rule means and scores there",
            named_tokens(having), _layers(having),
        )  # fmt: skip


def _where_sides_differ(diagnosis: Diagnosis) -> None:
    """Sides are matched in length before it is known what each layer leaves out."""
    if diagnosis.settings.get("outlier_norm") == "none":
        return
    unlike = [
        entry
        for entry in _with_outliers(diagnosis)
        if entry.left_out and max(entry.left_out.shares) - min(entry.left_out.shares) > UNLIKE
    ]
    if unlike:
        logger.warning(
            "in %s one side has more outliers than another, by over %.0f %% of its tokens: what is "
            "left differs in length, and in which words there are",
            _layers(unlike), 100 * UNLIKE,
        )  # fmt: skip


def _with_outliers(diagnosis: Diagnosis) -> list[LayerDiagnosis]:
    return [entry for entry in diagnosis.layers if entry.left_out and entry.left_out.outliers]


def _layers(entries: Sequence[LayerDiagnosis]) -> str:
    words = units_word([entry.unit for entry in entries])
    word = words[:-1] if len(entries) == 1 else words
    return f"{word} {format_layers(entry.unit for entry in entries)}"
