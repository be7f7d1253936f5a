"""Null and bootstrap: exact where small enough to count, and true to their laws."""

from itertools import combinations

import numpy as np
import pytest
import torch

from sae_merge_method.diagnose.resampling import (
    bootstrap_draws,
    document_matrices,
    for_resampling,
    null_draws,
    resampled_weights,
    shuffled_weights,
)
from sae_merge_method.diagnose.scoring import score_layers
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES, Score
from sae_merge_method.statistics.permutation import upper_tail
from tests.diagnose.usage_by_hand import documents, random_usage, usage_of

EVERY_SCORE = pytest.mark.parametrize("score", SCORES.values(), ids=lambda score: score.name)


@EVERY_SCORE
def test_a_shuffle_scores_as_if_the_documents_had_been_relabelled(score: Score) -> None:
    dense = random_usage(0, 9, 40)
    sides = documents(4, 5)
    matrices = document_matrices(usage_of(dense), sides, score.needs)
    weights = shuffled_weights(sides.is_target, 6, seed=1)
    draws = null_draws(score, matrices, weights, 4)
    for draw, row in zip(draws, weights, strict=True):
        labels = row > 0
        assert labels.sum() == 4
        target, control = (
            {name: column[side].mean(0) for name, column in matrices.columns.items()}
            for side in (labels, ~labels)
        )
        assert draw == pytest.approx(score.layer(target, control).item(), rel=1e-9, abs=1e-12)


@EVERY_SCORE
def test_all_shuffles_together_give_the_exact_permutation_test(score: Score) -> None:
    sides = documents(3, 4)
    matrices = document_matrices(usage_of(random_usage(3, 7, 12)), sides, score.needs)
    every = np.zeros((35, 7))
    for row, chosen in enumerate(combinations(range(7), 3)):
        every[row, list(chosen)] = 1 / 3
    draws = null_draws(score, matrices, torch.from_numpy(every), 3)
    observed = draws[0]  # the first combination is the true labelling
    rank = (draws >= observed - 1e-9 * abs(observed)).sum()
    assert upper_tail(float(observed), draws).p == pytest.approx((1 + rank) / 36)
    assert rank >= 1


def test_weights_of_every_side_sum_to_one() -> None:
    sides = documents(5, 8).is_target
    resampled = resampled_weights(sides, 50, seed=0)
    torch.testing.assert_close(resampled[:, sides].sum(1), torch.ones(50).double())
    torch.testing.assert_close(resampled[:, ~sides].sum(1), torch.ones(50).double())
    torch.testing.assert_close(shuffled_weights(sides, 50, 0).sum(1), torch.ones(50).double())


def test_placements_give_the_exact_area_and_follow_a_resampled_one() -> None:
    from sklearn.metrics import roc_auc_score

    dense = random_usage(1, 60, 6, rate=0.4)
    dense[:30, 0] += 0.5
    sides = documents(30, 30)
    score = SCORES["auroc_top_k"]
    exact = document_matrices(usage_of(dense), sides, score.needs)
    placed = for_resampling(exact, sides.is_target)
    labels = torch.from_numpy(sides.is_target).double()
    values = exact.columns["usage"].numpy()

    def areas(matrices: object, weights: torch.Tensor) -> torch.Tensor:
        means = matrices.means  # type: ignore[attr-defined]
        return score.contributions(means(weights * labels), means(weights * (1 - labels)))

    equal = torch.full((60,), 1 / 30, dtype=torch.float64)
    reference = [roc_auc_score(sides.is_target, column) for column in values.T]
    np.testing.assert_allclose(areas(exact, equal), reference)
    np.testing.assert_allclose(areas(placed, equal), reference)
    resamples = resampled_weights(sides.is_target, 40, seed=2)
    true = np.array(
        [
            [roc_auc_score(sides.is_target, column, sample_weight=row) for column in values.T]
            for row in resamples.numpy()
        ]
    )
    # First order: what is left is small beside the noise that resampling brings.
    error = areas(placed, resamples).numpy() - true
    assert np.sqrt((error**2).mean()) < 0.2 * true.std(axis=0).mean()


@EVERY_SCORE
def test_no_shuffle_and_no_resample_give_no_draw(score: Score) -> None:
    sides = documents(4, 5)
    matrices = document_matrices(usage_of(random_usage(0, 9, 40)), sides, score.needs)
    assert null_draws(score, matrices, shuffled_weights(sides.is_target, 0, 0), 4).shape == (0,)
    resamples = resampled_weights(sides.is_target, 0, 0)
    assert bootstrap_draws(score, matrices, resamples, sides.is_target).shape == (0,)


def test_bootstrap_draws_spread_like_fresh_samples_do() -> None:
    score = SCORES["kl_bits"]
    settings = ScoringSettings(permutations=0, bootstrap=0)
    sides = documents(80, 80)

    def sample(seed: int) -> np.ndarray:
        dense = np.random.default_rng(seed).exponential(size=(160, 30))
        dense[:80, :5] *= 3
        return dense

    fresh = [
        score_layers([0], lambda _, seed=seed: usage_of(sample(seed)), sides, settings).layers[0].score
        for seed in range(60)
    ]
    matrices = document_matrices(usage_of(sample(99)), sides, score.needs)
    draws = bootstrap_draws(score, matrices, resampled_weights(sides.is_target, 400, 0), sides.is_target)
    assert draws.std() == pytest.approx(np.std(fresh), rel=0.4)
