"""From stored usage to scored layers: nulls that hold, intervals that cover."""

import numpy as np
import pytest

from sae_merge_method.diagnose.scoring import ScoredLayer, score_layers
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES
from tests.diagnose.usage_by_hand import documents, random_usage, usage_of

EVERY_SCORE = pytest.mark.parametrize("name", SCORES)


def test_the_null_is_summarised_with_its_95th_percentile() -> None:
    usage = usage_of(random_usage(0, 30, 40))
    settings = ScoringSettings(permutations=100, bootstrap=0)
    scoring = score_layers([0], lambda _: usage, documents(15, 15), settings)
    entry, draws = scoring.layers[0], scoring.draws.null[:, 0]
    assert entry.null is not None
    assert (entry.null.permutations, entry.null.mean) == (100, draws.mean())
    assert (draws > entry.null.high).sum() == 5
    assert entry.null.corrected == entry.score - draws.mean()


@EVERY_SCORE
def test_a_score_of_the_top_k_gives_no_interval_that_would_not_cover(name: str) -> None:
    settings = ScoringSettings(score=name, permutations=0, bootstrap=20)
    usage = usage_of(random_usage(0, 12, 40))
    scoring = score_layers([0], lambda _: usage, documents(6, 6), settings)
    assert (scoring.layers[0].interval is None) == (SCORES[name].top_k is not None)
    assert scoring.draws.bootstrap.shape == (20, 1)


@EVERY_SCORE
def test_one_source_on_both_sides_gives_uniform_p_values_and_no_discovery(name: str) -> None:
    from scipy.stats import kstest

    sides = documents(15, 15)
    scoring = score_layers(
        range(120),
        lambda layer: usage_of(random_usage(layer, 30, 64)),
        sides,
        ScoringSettings(score=name, permutations=199, bootstrap=0),
    )
    nulls = [entry.null for entry in scoring.layers if entry.null]
    assert len(nulls) == 120
    assert kstest([null.p for null in nulls], "uniform").pvalue > 0.001
    assert min(null.q for null in nulls) > 0.05


@pytest.mark.parametrize("name", ["kl_bits", "js_bits", "selectivity"])
def test_an_interval_covers_what_unlimited_documents_would_give(name: str) -> None:
    def two_sources(seed: int, n: int) -> np.ndarray:
        dense = np.random.default_rng(seed).exponential(size=(2 * n, 40))
        dense[:n, :10] *= 2.0
        return dense

    def scored(seed: int, n: int, resamples: int) -> ScoredLayer:
        settings = ScoringSettings(score=name, permutations=0, bootstrap=resamples, seed=seed)
        usage = usage_of(two_sources(seed, n))
        return score_layers([0], lambda _: usage, documents(n, n), settings).layers[0]

    truth = scored(0, 20_000, 0).score
    intervals = [scored(seed, 50, 200).interval for seed in range(1, 61)]
    covered = [entry.low <= truth <= entry.high for entry in intervals if entry]
    assert len(covered) == 60
    assert np.mean(covered) > 0.85
