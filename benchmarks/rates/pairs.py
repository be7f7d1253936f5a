"""Two models that answered the same problems: what the tests of a comparison get right, and how often."""

from __future__ import annotations

from functools import partial

import numpy as np

from rates.rate import Hits, Rate, at_most
from sae_merge_method.statistics.evidence import Evidence, Mean
from sae_merge_method.statistics.tests import TESTS


def answers(
    generator: np.random.Generator, n: int, base: float, edited: float, correlation: float
) -> np.ndarray:
    """(n, 2) right or wrong answers to the same problems, at these rates and with this correlation."""
    together = correlation * np.sqrt(base * (1 - base) * edited * (1 - edited)) + base * edited
    shares = [together, base - together, edited - together, 1 - base - edited + together]
    drawn = generator.choice(4, size=n, p=np.clip(shares, 0, 1))
    return np.stack([(drawn == 0) | (drawn == 1), (drawn == 0) | (drawn == 2)], axis=1).astype(float)


def evidence_of(scores: np.ndarray) -> Evidence:
    """What a comparison hands to a test of these answers."""
    n = len(scores)
    means, errors = scores.mean(0), scores.std(0, ddof=1) / np.sqrt(n)
    sides = (Mean(float(means[side]), float(errors[side]), n) for side in (0, 1))
    return Evidence(*sides, pairs=[(float(one), float(other)) for one, other in scores])


def significant(
    generator: np.random.Generator,
    trials: int,
    *,
    test: str,
    n: int,
    base: float,
    edited: float,
    correlation: float,
) -> Hits:
    """How often a test calls the difference significant at .05."""
    hits = 0
    for _ in range(trials):
        p = TESTS[test].of(evidence_of(answers(generator, n, base, edited, correlation))).p
        hits += p is not None and p < 0.05
    return Hits(hits, trials)


RATES = (
    Rate(
        "McNemar: a difference where there is none",
        "540 problems, 30 % right on both sides, correlation .6",
        at_most(0.05),
        partial(significant, test="mcnemar", n=540, base=0.3, edited=0.3, correlation=0.6),
        trials=2000,
    ),
)
