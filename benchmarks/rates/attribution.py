"""Scores that know the donor: what a layer's p is held against, and intervals over groups of documents."""

from __future__ import annotations

from functools import partial

import numpy as np

from rates.rate import Hits, Rate, at_least, at_most
from sae_merge_method.artifacts.attribution_groups import TextGroups
from sae_merge_method.attribute.feature_sums import dealt, preferences
from sae_merge_method.attribute.scores import DONOR_SCORES, donor_scores
from sae_merge_method.statistics.permutation import upper_tail

GROUPS, LAYERS, FEATURES, ALPHA = 30, 12, 200, 0.05
SIGNED = ("attributed_gain", "attributed_gain_per_damage", "first_order_gain", "probe_gain")
"""Scores of nats, which are above 0 and below; the others are of sizes."""


def text(generator: np.random.Generator, score: str, of_layers: np.ndarray) -> TextGroups:
    """Groups of unlike size, a few of which are much larger than the others: all that one score needs."""
    tokens = generator.integers(50, 200, GROUPS)
    if score in SIGNED:
        each = of_layers + generator.standard_t(5, (GROUPS, LAYERS))
    else:
        each = of_layers * generator.lognormal(-0.125, 0.5, (GROUPS, LAYERS))
    none = np.zeros((GROUPS, 0))
    sums = TextGroups(tokens, np.zeros(GROUPS), none, none, none, none, none, none, none)
    (field,) = DONOR_SCORES[score].needs
    whole = np.repeat(tokens[:, None], LAYERS, axis=1).astype(float)
    return sums._replace(**{"read": whole, field: tokens[:, None] * each})


def first_layer(
    generator: np.random.Generator, trials: int, *, score: str, more: float, covers: bool = False
) -> Hits:
    """How often the first layer is told from the mean layer, or its interval holds the truth.

    All layers gain 1 and damage 1, or have size 1; the first one gains, or has, ``more``.
    """
    of_layers = np.r_[1 + more, np.ones(LAYERS - 1)]
    of_control = -np.ones(LAYERS) if score in SIGNED else np.ones(LAYERS)
    hits = 0
    for _ in range(trials):
        groups = [text(generator, score, of_layers), text(generator, score, of_control)]
        (scored,) = (one for one in donor_scores(groups, range(LAYERS)) if one.name == score)
        found = scored.layers[0]
        assert found.low is not None and found.high is not None and found.p is not None
        hits += found.low <= 1 + more <= found.high if covers else found.p < ALPHA
    return Hits(hits, trials)


def passes_apart(
    generator: np.random.Generator, trials: int, *, features: int = FEATURES, mean: float, related: bool
) -> Hits:
    """How often an edit is said to act through features of the target's own.

    The target's sample moves a feature's use, and with it what the edit does through the feature and how much
    more the target seems to use it than the control does.
    """
    hits = 0
    for nth in range(trials):
        true = generator.gamma(0.5, 1, features)
        use, control = (
            true * generator.lognormal(0, 0.5, features),
            true * generator.lognormal(0, 1, features),
        )
        preference = preferences(use, control)
        gains = use * (mean + generator.standard_normal(features))
        if related:
            gains += 2 * use * preference
        hits += upper_tail(float(gains @ preference), dealt(gains, preference, use, seed=nth)).p < ALPHA
    return Hits(hits, trials)


HELD = [name for name, row in DONOR_SCORES.items() if row.draws is None]
"""Scores whose layers are held against the mean layer."""

RATES = (
    *(
        Rate(
            f"{name}: a layer that is as all are is told from the mean layer",
            "30 groups of unlike size, heavy tails, 12 layers alike",
            at_most(ALPHA),
            partial(first_layer, score=name, more=0.0),
            600,
        )
        for name in HELD
    ),
    *(
        Rate(
            f"{name}: a layer that stands out is told from the mean layer",
            "the same; one layer gains a standard deviation more, or has twice the size",
            at_least(0.6 if name == "attributed_gain_per_damage" else 0.8),
            partial(first_layer, score=name, more=1.0),
            100,
        )
        for name in HELD
    ),
    Rate(
        "attribution: a layer's interval holds its gain",
        "30 groups of unlike size, heavy tails",
        at_least(0.93),
        partial(first_layer, score="attributed_gain", more=1.0, covers=True),
        600,
    ),
    Rate(
        "sae_attribution: an edit that acts through any features is said to act through the target's own",
        "200 features of unlike use; what the edit does through one is as likely below 0 as above",
        at_most(ALPHA),
        partial(passes_apart, mean=0.0, related=False),
        2000,
    ),
    Rate(
        "sae_attribution: the same of an edit that gains on the whole",
        "2,000 features; the target's sample moves use, gain and preference together",
        at_most(ALPHA),
        partial(passes_apart, features=2000, mean=0.5, related=False),
        400,
    ),
    Rate(
        "sae_attribution: an edit that acts through the target's own features is found",
        "200 features, what passes grows with preference, too",
        at_least(0.8),
        partial(passes_apart, mean=0.0, related=True),
        200,
    ),
)
