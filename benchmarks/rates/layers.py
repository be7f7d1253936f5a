"""Scores and gains over layers, and random sets of layers: what an experiment's claims get right.

Profiles are smooth in depth, as on real models: 30 layers, neighbours correlate at .9.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice

import numpy as np

from rates.rate import Hits, Rate, at_least, at_most
from sae_merge_method.controls.layer_sets import is_matched, random_sets
from sae_merge_method.controls.settings import RANDOM_LAYERS
from sae_merge_method.experiment.report.claims import CLAIMS
from sae_merge_method.statistics.curves import curve_correlation, depth_terms, excess
from sae_merge_method.statistics.multiplicity import holm

LAYERS, SMOOTHNESS, ALPHA = 30, 0.9, 0.05
PICKED = 6
_ARCH = -3 * np.linspace(-1, 1, LAYERS) ** 2


def smooth(generator: np.random.Generator) -> np.ndarray:
    """(LAYERS,) a profile with variance 1 whose neighbours correlate at SMOOTHNESS."""
    steps = generator.standard_normal(LAYERS)
    values = [steps[0]]
    for step in steps[1:]:
        values.append(SMOOTHNESS * values[-1] + (1 - SMOOTHNESS**2) ** 0.5 * step)
    return np.array(values)


def profiles(generator: np.random.Generator, truth: float, arch: bool) -> tuple[np.ndarray, np.ndarray]:
    """Score and gain of every layer: correlated at ``truth``, both highest in the middle or not."""
    score, other = smooth(generator), smooth(generator)
    gain = truth * score + (1 - truth**2) ** 0.5 * other
    depth = _ARCH if arch else 0.0
    return score + depth, gain + depth


def related(
    generator: np.random.Generator, trials: int, *, truth: float, arch: bool, given_depth: bool
) -> Hits:
    """How often score and gain are called related."""
    held = depth_terms(range(LAYERS)) if given_depth else []
    hits = 0
    for _ in range(trials):
        score, gain = profiles(generator, truth, arch)
        correlation = curve_correlation(score.tolist(), gain.tolist(), held)
        hits += correlation is not None and correlation.p is not None and correlation.p < ALPHA
    return Hits(hits, trials)


def top(score: np.ndarray) -> tuple[int, ...]:
    """The layers with the highest scores."""
    return tuple(sorted(int(layer) for layer in np.argsort(-score)[:PICKED]))


def block(score: np.ndarray) -> tuple[int, ...]:
    """The unbroken block with the highest score."""
    start = int(np.convolve(score, np.ones(PICKED), "valid").argmax())
    return tuple(range(start, start + PICKED))


def pick_stands_out(
    generator: np.random.Generator,
    trials: int,
    *,
    choose: Callable[[np.ndarray], tuple[int, ...]],
    truth: float,
    arch: bool,
    better: bool = False,
) -> Hits:
    """How often a pick is called better, or worse, than its matched sets; gains are measured with noise."""
    hits = 0
    for _ in range(trials):
        score, gain = profiles(generator, truth, arch)
        pick = choose(score)
        drawn = islice(random_sets(LAYERS, pick), RANDOM_LAYERS)
        sets = [layers for layers in drawn if is_matched(LAYERS, pick, layers)]
        pick_gain, *gains = (
            float(gain[list(layers)].sum() + 0.5 * generator.standard_normal()) for layers in (pick, *sets)
        )
        over = excess(pick_gain, gains, 1 - ALPHA)
        hits += over.p is not None and over.p < ALPHA and (over.difference > 0 or not better)
    return Hits(hits, trials)


def any_of_a_family(generator: np.random.Generator, trials: int, *, claims: int) -> Hits:
    """How often any of so many claims, of which none holds, is significant after Holm."""
    return Hits(sum(min(holm(list(generator.random(claims)))) < ALPHA for _ in range(trials)), trials)


_SMOOTH = f"{LAYERS} layers, lag-1 autocorrelation {SMOOTHNESS:g}"
_SETS = f"{_SMOOTH}; {PICKED} picked, {RANDOM_LAYERS} random sets as an experiment draws them"

_CLAIMS = sum(bool(claim.arms) for claim in CLAIMS.values())

RATES = (
    Rate(
        "the score predicts: unrelated to the gain",
        _SMOOTH,
        at_most(0.08),
        partial(related, truth=0.0, arch=False, given_depth=False),
        trials=2000,
    ),
    Rate(
        "the score predicts: related to the gain",
        f"{_SMOOTH}; correlation .8",
        at_least(0.7),
        partial(related, truth=0.8, arch=False, given_depth=False),
        trials=1000,
    ),
    Rate(
        "the score predicts beyond depth: both highest in the middle, unrelated else",
        f"{_SMOOTH}, added to a parabola",
        at_most(0.08),
        partial(related, truth=0.0, arch=True, given_depth=True),
        trials=2000,
    ),
    Rate(
        "the score predicts beyond depth: related to the gain",
        f"{_SMOOTH}; correlation .8",
        at_least(0.7),
        partial(related, truth=0.8, arch=True, given_depth=True),
        trials=1000,
    ),
    Rate(
        "the pick against random layers: unrelated score, top layers",
        _SETS,
        at_most(0.08),
        partial(pick_stands_out, choose=top, truth=0.0, arch=False),
        trials=400,
    ),
    Rate(
        "the pick against random layers: unrelated score, best block",
        _SETS,
        at_most(0.08),
        partial(pick_stands_out, choose=block, truth=0.0, arch=False),
        trials=1000,
    ),
    Rate(
        "the pick against random layers: better only for its depth",
        f"{_SETS}; score and gain highest in the middle",
        at_most(0.08),
        partial(pick_stands_out, choose=top, truth=0.0, arch=True, better=True),
        trials=400,
    ),
    Rate(
        "the pick against random layers: score and gain the same",
        _SETS,
        at_least(0.5),
        partial(pick_stands_out, choose=top, truth=1.0, arch=False, better=True),
        trials=400,
    ),
    Rate(
        "all claims together: any significant where none holds",
        f"{_CLAIMS} independent claims, as many as an experiment can test, after Holm",
        at_most(0.05),
        partial(any_of_a_family, claims=_CLAIMS),
        trials=4000,
    ),
)
