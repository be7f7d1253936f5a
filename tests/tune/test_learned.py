"""Learned weights beside the best weights that there are, on made-up slopes."""

import numpy as np
import pytest
from scipy.optimize import minimize

from sae_merge_method.tune.bench import Slopes
from sae_merge_method.tune.edit import Edit, Shape
from sae_merge_method.tune.learned import learn
from sae_merge_method.tune.scaling import MOST

N_LAYERS, N_GROUPS = 20, 6


class Smooth:
    """A bench whose target falls exponentially along each layer's weight, and whose damage is a quadratic form.

    Some layers gain nothing, the last one harms most, and each group of texts tells slopes of its own.
    """

    def __init__(self, seed: int, noise: float) -> None:
        draw = np.random.default_rng(seed)
        self.gains = np.exp(draw.normal(0, 0.8, N_LAYERS)) * (draw.random(N_LAYERS) > 0.2)
        self.gains *= 4 / self.gains.sum()
        each = np.exp(draw.normal(0, 0.7, N_LAYERS))
        each[-1] *= 15
        together = np.exp(draw.normal(0, 0.3, (3, N_LAYERS)))
        self.harms = np.diag(each) + 0.3 * each.mean() * together.T @ together / N_LAYERS
        self.harms *= 0.3 / self.harms.sum()
        told = 1 + noise * draw.normal(size=(2, N_GROUPS, N_LAYERS))
        self._told = told / told.mean(1, keepdims=True)

    def damage(self, weights: np.ndarray) -> float:
        return float(weights @ self.harms @ weights / 2)

    def slopes(self, edit: Edit, turn: int) -> Slopes:
        weights = edit.array[0]
        target = float(1.8 * np.exp(-self.gains @ weights))
        of_target, of_control = self._told[:, turn % N_GROUPS]
        by_control = (self.harms @ weights * of_control)[None]
        return Slopes(target, self.damage(weights), (-target * self.gains * of_target)[None], by_control)

    def within(self, weights: np.ndarray, allowed: float) -> np.ndarray:
        """As large as the damage allows."""
        scaled: np.ndarray = weights * min(MOST / weights.max(), (allowed / self.damage(weights)) ** 0.5)
        return scaled

    def best(self, start: np.ndarray, allowed: float) -> np.ndarray:
        found = minimize(
            lambda weights: -10 * self.gains @ weights,
            start,
            jac=lambda _: -10 * self.gains,
            bounds=[(0, MOST)] * N_LAYERS,
            constraints=[{
                "type": "ineq",
                "fun": lambda weights: 100 * (allowed - self.damage(weights)),
                "jac": lambda weights: -100 * self.harms @ weights,
            }],
            method="SLSQP",
            options={"maxiter": 500},
        )  # fmt: skip
        best: np.ndarray = found.x
        return best


@pytest.mark.parametrize(
    ("steps", "noise", "mean", "least"), [(12, 0.0, 0.75, 0.55), (30, 0.0, 0.9, 0.7), (30, 0.5, 0.85, 0.6)]
)
def test_learned_weights_come_near_to_the_best_there_are(
    steps: int, noise: float, mean: float, least: float
) -> None:
    """Of what the best weights gain over all layers damped, at the same damage."""
    shares = []
    for seed in range(6):
        for allowed in (0.004, 0.02):
            bench = Smooth(seed, noise)
            start = bench.within(np.ones(N_LAYERS), allowed)
            learned: Shape = learn(bench, Edit.of(start[None]), allowed, steps)
            assert learned.min() >= 0 and learned.max() <= MOST
            at = [
                bench.gains @ one
                for one in (start, bench.within(learned[0], allowed), bench.best(start, allowed))
            ]
            shares.append((at[1] - at[0]) / (at[2] - at[0]))
    assert np.mean(shares) > mean and min(shares) > least


def test_a_layer_that_only_harms_ends_with_next_to_no_weight() -> None:
    bench = Smooth(3, 0.0)
    start = bench.within(np.ones(N_LAYERS), 0.01)
    (learned,) = learn(bench, Edit.of(start[None]), 0.01, 30)
    useless = bench.gains == 0
    assert useless.any() and learned[useless].max() < 0.1 * learned.max()
