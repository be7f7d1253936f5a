"""Null and bootstrap: exact where small enough to count, and true to their laws."""

from itertools import combinations

import numpy as np
import pytest
import torch

from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.document_matrices import document_matrices
from sae_merge_method.diagnose.estimation import estimate, samples_for
from sae_merge_method.diagnose.feature_block import FeatureBlock
from sae_merge_method.diagnose.resampling import (
    half_samples,
    resampled_weights,
    shuffled_weights,
    whole_sample,
)
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES, Score
from tests.diagnose.usage_by_hand import documents, random_usage, usage_of

EVERY_SCORE = pytest.mark.parametrize("score", SCORES.values(), ids=lambda score: score.name)
SUMS = pytest.mark.parametrize(
    "score", [score for score in SCORES.values() if score.top_k is None], ids=lambda score: score.name
)
FEW = ScoringSettings(permutations=6, bootstrap=4, seed=1)


@SUMS
def test_a_shuffle_scores_as_if_the_documents_had_been_relabelled(score: Score) -> None:
    sides = documents(4, 5)
    matrices = document_matrices(usage_of(random_usage(0, 9, 40)), sides)
    whole = matrices.of(np.arange(9), score.needs)
    (sample,) = samples_for(score, sides, 1, FEW)
    draws = estimate(score, matrices, (sample,)).null
    for draw, row in zip(draws, sample.shuffles, strict=True):
        labels = (row > 0).numpy()
        assert labels.sum() == 4
        assert draw == pytest.approx(score.layer(*whole.sides(labels)).item(), rel=1e-9, abs=1e-12)


@SUMS
def test_all_shuffles_together_give_the_exact_permutation_test(score: Score) -> None:
    sides = documents(3, 4)
    matrices = document_matrices(usage_of(random_usage(3, 7, 12)), sides)
    every = np.zeros((35, 7))
    for row, chosen in enumerate(combinations(range(7), 3)):
        every[row, list(chosen)] = 1 / 3
    sample = whole_sample(sides, 1, FEW)._replace(shuffles=torch.from_numpy(every))
    drawn = estimate(score, matrices, (sample,))
    observed, whole = drawn.score, matrices.of(np.arange(7), score.needs)
    exact = [score.layer(*whole.sides(row > 0)).item() for row in every]
    assert exact[0] == pytest.approx(observed)  # the first combination is the true labelling
    rank = sum(one >= observed - 1e-9 * abs(observed) for one in exact)
    assert drawn.p == pytest.approx((1 + rank) / 36)
    assert rank >= 1


def test_weights_of_every_side_sum_to_one() -> None:
    is_target, sources = documents(5, 8).is_target, np.array([0, 0, 1, 2, 2, *range(3, 11)])
    resampled = resampled_weights(is_target, sources, 50, [0], [1])
    torch.testing.assert_close(resampled[:, is_target].sum(1), torch.ones(50).double())
    torch.testing.assert_close(resampled[:, ~is_target].sum(1), torch.ones(50).double())
    torch.testing.assert_close(shuffled_weights(is_target, sources, 50, [0]).sum(1), torch.ones(50).double())


def test_a_source_is_shuffled_and_drawn_as_a_whole() -> None:
    is_target = documents(6, 6).is_target
    sources = np.array([0, 0, 0, 1, 2, 2, 3, 3, 4, 4, 4, 5])
    for weights in (
        shuffled_weights(is_target, sources, 40, [0]).numpy(),
        resampled_weights(is_target, sources, 40, [0], [1]).numpy(),
    ):
        for number in range(6):
            assert np.ptp(weights[:, sources == number], axis=1).max() == 0
    called = shuffled_weights(is_target, sources, 40, [0]).numpy() > 0
    assert {len(set(sources[row])) for row in called} == {3}


def test_halves_have_half_of_the_sources_of_either_side_and_share_none() -> None:
    sides = documents(12, 20, 8, a_source=2)
    first, second = half_samples(sides, 1, FEW)
    assert not set(sides.source[first.rows]) & set(sides.source[second.rows])
    assert sorted([*first.rows, *second.rows]) == list(range(32))
    assert (first.is_target.sum(), second.is_target.sum()) == (6, 6)
    against_other = half_samples(sides, 2, FEW)[0]
    assert set(against_other.rows[against_other.is_target]) == set(first.rows[first.is_target])


def test_every_control_is_compared_with_one_resample_of_the_target() -> None:
    sides = documents(10, 6, 12)
    one, other = (whole_sample(sides, control, FEW) for control in sides.controls)
    torch.testing.assert_close(one.resamples[:, one.is_target], other.resamples[:, other.is_target])


def test_placements_give_the_exact_area_and_follow_a_resampled_one() -> None:
    from sklearn.metrics import roc_auc_score

    dense = random_usage(1, 60, 6, rate=0.4)
    dense[:30, 0] += 0.5
    sides = documents(30, 30)
    score = SCORES["auroc_top_k"]
    matrices = document_matrices(usage_of(dense), sides)
    exact, placed = (matrices.of(np.arange(60), score.needs, n_target) for n_target in (None, 30))
    labels = torch.from_numpy(sides.is_target).double()
    values = dense.astype(np.float16)

    def areas(matrices: FeatureBlock, weights: torch.Tensor) -> torch.Tensor:
        means = matrices.means
        return score.contributions(means(weights * labels), means(weights * (1 - labels)))

    equal = torch.full((60,), 1 / 30, dtype=torch.float64)
    reference = [roc_auc_score(sides.is_target, column) for column in values.T]
    np.testing.assert_allclose(areas(exact, equal), reference)
    np.testing.assert_allclose(areas(placed, equal), reference)
    resamples = resampled_weights(sides.is_target, sides.source, 40, [2], [3])
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
    matrices = document_matrices(usage_of(random_usage(0, 9, 40)), sides)
    none = ScoringSettings(permutations=0, bootstrap=0)
    drawn = estimate(score, matrices, samples_for(score, sides, 1, none))
    assert drawn.null.shape == drawn.bootstrap.shape == (0,)


def test_bootstrap_draws_spread_like_fresh_samples_do() -> None:
    score, sides = SCORES["kl_bits"], documents(80, 80)

    def draws(seed: int, sides: Documents, resamples: int) -> tuple[float, np.ndarray]:
        dense = np.random.default_rng(seed).exponential(size=(160, 30))
        dense[:80, :5] *= 3
        settings = ScoringSettings(permutations=0, bootstrap=resamples)
        matrices = document_matrices(usage_of(dense), sides)
        drawn = estimate(score, matrices, samples_for(score, sides, 1, settings))
        return drawn.score, drawn.bootstrap

    fresh = [draws(seed, sides, 0)[0] for seed in range(60)]
    assert draws(99, sides, 400)[1].std() == pytest.approx(np.std(fresh), rel=0.4)
