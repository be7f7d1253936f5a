"""From stored usage to scored layers: nulls that hold, intervals that cover."""

from collections.abc import Sequence

import numpy as np
import pytest

from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.document_matrices import document_matrices
from sae_merge_method.diagnose.other_scores import OtherWays
from sae_merge_method.diagnose.scoring import ScoredLayer, Scoring, score_layers
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES
from sae_merge_method.errors import CorpusError
from tests.diagnose.usage_by_hand import documents, random_usage, usage_of


def scored(layers: Sequence[LayerUsage], sides: Documents, **settings: object) -> Scoring:
    """These layers by default with few draws, against controls called c1, c2, ..."""
    chosen = ScoringSettings.model_validate({"permutations": 0, "bootstrap": 0, **settings})
    names = [f"c{number}" for number in sides.controls]
    return score_layers(range(len(layers)), layers.__getitem__, sides, chosen, names)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No score beside the one that is asked for: the others are no matter here, and take most of the time."""
    monkeypatch.setattr(OtherWays, "asked", lambda _: [])
    monkeypatch.setattr(OtherWays, "taken", lambda *_: {})


EVERY_SCORE = pytest.mark.parametrize("name", SCORES)


def test_the_null_is_summarised_with_its_95th_percentile() -> None:
    scoring = scored([usage_of(random_usage(0, 30, 40))], documents(15, 15), permutations=100)
    entry, draws = scoring.layers[0], scoring.draws.null[0, :, 0]
    assert entry.null is not None
    assert (entry.null.permutations, entry.null.mean) == (100, draws.mean())
    assert (draws > entry.null.high).sum() == 5
    assert entry.null.corrected == entry.score - draws.mean()


@EVERY_SCORE
@pytest.mark.usefixtures("alone")
def test_one_source_on_both_sides_gives_uniform_p_values_and_no_discovery(name: str) -> None:
    from scipy.stats import kstest

    layers = [usage_of(random_usage(layer, 30, 40)) for layer in range(120)]
    nulls = [
        entry.null
        for entry in scored(layers, documents(15, 15), score=name, permutations=99).layers
        if entry.null
    ]
    assert len(nulls) == 120
    assert kstest([null.p for null in nulls], "uniform").pvalue > 0.001
    assert min(null.q for null in nulls) > 0.05


def two_sources(seed: int, n: int) -> np.ndarray:
    """n documents a side, of which the target's use ten features twice as much."""
    dense = np.random.default_rng(seed).exponential(size=(2 * n, 40))
    dense[:n, :10] *= 2.0
    return dense


@pytest.mark.parametrize("name", ["kl_bits", "js_bits", "selectivity"])
@pytest.mark.usefixtures("alone")
def test_an_interval_covers_what_unlimited_documents_would_give(name: str) -> None:
    def one(seed: int, n: int, resamples: int) -> ScoredLayer:
        usage = usage_of(two_sources(seed, n))
        return scored([usage], documents(n, n), score=name, bootstrap=resamples, seed=seed).layers[0]

    truth = one(0, 5_000, 0).score
    intervals = [one(seed, 50, 100).interval for seed in range(1, 61)]
    covered = [entry.low <= truth <= entry.high for entry in intervals if entry]
    assert len(covered) == 60
    assert np.mean(covered) > 0.85


def test_chunks_of_one_source_are_no_evidence_once_their_source_is_known() -> None:
    chunks = [usage_of(np.repeat(random_usage(layer, 30, 40), 10, axis=0)) for layer in range(20)]
    apart, together = (
        scored(chunks, documents(150, 150, a_source=a_source), permutations=99) for a_source in (1, 10)
    )
    p_values = [[entry.null.p for entry in one.layers if entry.null] for one in (apart, together)]
    assert max(p_values[0]) == 0.01
    assert min(p_values[1]) > 0.01
    assert 0.25 < np.mean(p_values[1]) < 0.75


@pytest.mark.parametrize("name", [name for name, score in SCORES.items() if score.top_k])
@pytest.mark.usefixtures("alone")
def test_features_are_chosen_on_other_documents_than_they_are_measured_on(name: str) -> None:
    noise = [usage_of(random_usage(seed, 40, 200)) for seed in range(12)]
    score, sides = SCORES[name], documents(20, 20)
    halves = [entry.score for entry in scored(noise, sides, score=name).layers]
    whole = []
    for usage in noise:
        matrices = document_matrices(usage, sides).of(np.arange(40), score.needs)
        whole.append(float(score.layer(*matrices.sides(sides.is_target))))
    nothing = 0.5 if name == "auroc_top_k" else 0.0
    # Where nothing is to be found, the features that look best gain little on other documents.
    assert abs(np.mean(halves) - nothing) < 0.5 * abs(np.mean(whole) - nothing)


@pytest.mark.usefixtures("alone")
def test_an_interval_of_the_top_k_covers_the_score_of_the_features_that_were_chosen() -> None:
    """Features of one kind: whichever are chosen, their true area under the curve is the same."""
    covered = []
    for seed in range(40):
        dense = np.random.default_rng(seed).normal(5, 1, size=(80, 40))
        dense[:40] += 0.5
        settings = {"score": "auroc_top_k", "bootstrap": 200, "seed": seed}
        interval = scored([usage_of(dense)], documents(40, 40), **settings).layers[0].interval
        assert interval is not None
        covered.append(interval.low <= 0.6382 <= interval.high)  # Phi(0.5 / sqrt 2)
    assert np.mean(covered) > 0.85


def test_a_score_of_the_top_k_needs_two_sources_a_side() -> None:
    usage = usage_of(random_usage(0, 4, 8))
    with pytest.raises(CorpusError, match="needs two sources a side"):
        scored([usage], documents(2, 2, a_source=2), score="auroc_top_k")


def test_over_several_controls_the_least_score_and_the_largest_p_count() -> None:
    dense = random_usage(0, 60, 40)
    dense[:20, :10] *= 3
    dense[20:40, :10] *= 2.8  # the first control is nearly the target's kind
    scoring = scored([usage_of(dense)], documents(20, 20, 20), permutations=99, bootstrap=50)
    (entry,) = scoring.layers
    near, far = entry.against
    assert (near.control, far.control) == ("c1", "c2")
    assert entry.score == near.score < far.score
    assert entry.null and near.null and far.null
    assert entry.null.p == max(near.null.p, far.null.p)
    assert entry.null.corrected == min(near.null.corrected, far.null.corrected)
    assert scoring.draws.null.shape == (2, 99, 1)
    assert scoring.draws.bootstrap.shape == (2, 50, 1)
    alone = scored([usage_of(dense[:40])], documents(20, 20)).layers[0]
    assert alone.score == pytest.approx(near.score)
    assert alone.against == ()
