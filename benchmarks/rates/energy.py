"""What a projection keeps against chance: of other features of the same SAE, and of random subspaces."""

from __future__ import annotations

from functools import partial

import numpy as np

from rates.rate import Hits, Rate, at_least, at_most
from sae_merge_method.geometry.basis import orthonormal_basis, random_basis
from sae_merge_method.geometry.energy import energies_in, energy, gram, random_variance
from sae_merge_method.saes.matching import draw_alike
from sae_merge_method.statistics.curves import excess
from sae_merge_method.statistics.shares import RandomShare

D, FEATURES, RANK, DRAWS, ROWS = 64, 512, 4, 20, 40
ALPHA, LEVEL = 0.05, 0.99
_STRETCH = np.exp(-np.arange(D) / 12)
"""How much of the residual stream lies in each dimension: dictionary and task vector crowd alike."""


def world(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A dictionary's directions and firing rates, and a task vector's rows; frequent features crowd more."""
    rates = generator.beta(0.3, 6, FEATURES)
    crowding = 0.3 + np.sqrt(rates)[:, None]
    dictionary = generator.standard_normal((FEATURES, D)) * _STRETCH**crowding
    return dictionary, rates, generator.standard_normal((ROWS, D)) * _STRETCH


def kept(rows: np.ndarray, directions: np.ndarray) -> float:
    """Share of the rows' energy in the span of some directions."""
    return float(energies_in(rows, None, [orthonormal_basis(directions).columns])[0]) / energy(rows)


def selected(generator: np.random.Generator, rates: np.ndarray) -> tuple[int, ...]:
    """Features that say nothing of the task vector, frequent ones more often."""
    weights = rates / rates.sum()
    return tuple(int(one) for one in generator.choice(FEATURES, RANK, replace=False, p=weights))


def above_others(generator: np.random.Generator, trials: int, *, aimed: bool) -> Hits:
    """How often a span is said to keep more than those of other features, by the product's test."""
    hits = 0
    for _ in range(trials):
        dictionary, rates, rows = world(generator)
        features = selected(generator, rates)
        if aimed:  # a third of the task vector's energy is put along the selected features
            span = orthonormal_basis(dictionary[list(features)]).columns
            inside = generator.standard_normal((ROWS, RANK)) @ span.T
            rows = rows + inside * (0.5 * energy(rows) / energy(inside)) ** 0.5
        draws = [draw_alike(rates, features, generator) for _ in range(DRAWS)]
        others = [kept(rows, dictionary[list(one)]) for one in draws if one is not None]
        over_chance = excess(kept(rows, dictionary[list(features)]), others, LEVEL)
        hits += over_chance.p is not None and over_chance.p < ALPHA and over_chance.difference > 0
    return Hits(hits, trials)


def outside(generator: np.random.Generator, trials: int, *, directions: int) -> Hits:
    """How often what a random subspace keeps is outside its interval."""
    hits = 0
    for trial in range(trials):
        rows = generator.standard_normal((directions, D))
        share = RandomShare(RANK / D, random_variance(gram(rows), RANK) ** 0.5 / energy(rows))
        low, high = share.interval(LEVEL)
        basis = random_basis(D, RANK, (directions, trial)).columns
        hits += not low <= float(energies_in(rows, None, [basis])[0]) / energy(rows) <= high
    return Hits(hits, trials)


_WORLD = f"{RANK} of {FEATURES} features, dictionary and task vector in the same few of {D} dimensions"

RATES = (
    Rate(
        "energy: features that have nothing to do with the task vector keep more than others",
        _WORLD,
        at_most(0.05),
        partial(above_others, aimed=False),
        trials=1000,
    ),
    Rate(
        "energy: features with a third of the task vector along them keep more than others",
        _WORLD,
        at_least(0.8),
        partial(above_others, aimed=True),
        trials=300,
    ),
    *(
        Rate(
            f"energy: random subspaces outside their 99 % interval, {words}",
            f"rank {RANK} of {D}, a task vector of {directions} directions",
            at_most(0.01),
            partial(outside, directions=directions),
            trials=4000,
        )
        for directions, words in ((1, "one direction"), (3, "few directions"), (200, "many directions"))
    ),
)
