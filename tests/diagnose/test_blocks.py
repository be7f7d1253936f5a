"""Features go by in blocks, draws too, layers side by side: no number depends on how many at a time."""

import numpy as np
import pytest
import torch

from sae_merge_method.diagnose import document_matrices as laid_out
from sae_merge_method.diagnose import resampling
from sae_merge_method.diagnose.asked import Estimate
from sae_merge_method.diagnose.document_matrices import document_matrices
from sae_merge_method.diagnose.estimation import estimate, samples_for
from sae_merge_method.diagnose.scoring import Scoring, score_layers
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES, Score
from tests.diagnose.usage_by_hand import documents, random_usage, usage_of

EVERY_SCORE = pytest.mark.parametrize("score", SCORES.values(), ids=lambda score: score.name)


@EVERY_SCORE
def test_a_score_and_its_draws_are_those_of_all_features_at_once(
    score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = documents(20, 24)
    dense = random_usage(0, 44, 31)  # no more than the top k: which of those that tie is taken is chance
    dense[:, :12] *= np.random.default_rng(2).random((44, 12)) < 0.1  # sparse enough to be laid out sparsely
    settings = ScoringSettings(permutations=7, bootstrap=5)

    def scored() -> Estimate:
        return estimate(
            score, document_matrices(usage_of(dense), sides), samples_for(score, sides, 1, settings)
        )

    whole = scored()
    monkeypatch.setattr(laid_out, "BLOCK_FEATURES", 7)
    monkeypatch.setattr(resampling, "BLOCK_DRAWS", 2)
    for at_once, block_by_block in zip(whole, scored(), strict=True):
        np.testing.assert_allclose(block_by_block, at_once, rtol=1e-9, atol=1e-12)


@EVERY_SCORE
def test_draws_made_in_float32_are_those_made_in_float64_and_the_score_is_the_same(
    score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = documents(70, 74)
    dense = random_usage(0, 144, 31)  # no more than the top k: which of those that tie is taken is chance
    dense[:, :12] *= np.random.default_rng(2).random((144, 12)) < 0.03
    dense[:70, 12:20] *= 1.2
    matrices, settings = (
        document_matrices(usage_of(dense), sides),
        ScoringSettings(permutations=99, bootstrap=50),
    )
    single = estimate(score, matrices, samples_for(score, sides, 1, settings))
    monkeypatch.setattr(resampling, "MANY_SOURCES", 1000)
    double = estimate(score, matrices, samples_for(score, sides, 1, settings))
    assert single.rounding > double.rounding == 0
    assert single.score == double.score
    assert single.drawn == pytest.approx(single.score, abs=single.rounding)
    np.testing.assert_allclose(single.null, double.null, atol=single.rounding)
    np.testing.assert_allclose(single.bootstrap, double.bootstrap, rtol=1e-5, atol=single.rounding)
    assert single.p == double.p


def test_documents_that_are_all_alike_are_no_evidence_in_float32_either() -> None:
    sides = documents(70, 70)
    matrices = document_matrices(usage_of(np.tile(random_usage(0, 1, 40, rate=1.0), (140, 1))), sides)
    settings = ScoringSettings(permutations=99, bootstrap=0)
    for score in SCORES.values():
        drawn = estimate(score, matrices, samples_for(score, sides, 1, settings))
        assert drawn.rounding > 0
        assert drawn.p == 1


@EVERY_SCORE
def test_top_features_are_those_of_the_dense_matrix_whatever_the_order_of_use(score: Score) -> None:
    sides, dense = documents(8, 8, 9), random_usage(3, 25, 60, rate=0.5)
    settings = ScoringSettings(score=score.name, permutations=0, bootstrap=0)
    scoring = score_layers([4], lambda _: usage_of(dense), sides, settings, ["one", "other"])
    (layer,) = scoring.layers
    least = 1 + int(np.argmin([one.score for one in layer.against]))
    rows = np.flatnonzero(np.isin(sides.side, (0, least)))
    matrices = document_matrices(usage_of(dense), sides)
    needs = tuple(dict.fromkeys((*score.needs, "usage", "rate")))
    target, control = matrices.of(rows, needs).sides(sides.is_target[rows])
    contributions = score.contributions(target, control).numpy()
    largest = np.argsort(-contributions, kind="stable")[:10]
    whole = score.reduce(torch.from_numpy(contributions)) * (score.top_k or 1)
    expected = [
        (
            matrices.features[at],
            contributions[at] / whole,
            target["usage"][at],
            control["usage"][at],
            target["rate"][at],
            control["rate"][at],
        )
        for at in largest
        if contributions[at] > 0
    ]
    shown = [tuple(entry.model_dump(exclude={"snippets"}).values()) for entry in layer.top_features]
    assert len(shown) == len(expected) > 0
    np.testing.assert_allclose(shown, expected, rtol=1e-9)


def test_layers_scored_side_by_side_have_the_numbers_of_layers_scored_in_turn() -> None:
    layers = [usage_of(random_usage(layer, 16, 60)) for layer in range(5)]

    def scored(threads: int) -> Scoring:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            settings = ScoringSettings(permutations=20, bootstrap=20)
            return score_layers(range(5), layers.__getitem__, documents(8, 8), settings, ["control"])
        finally:
            torch.set_num_threads(before)

    alone, together = scored(1), scored(3)
    assert together.layers == alone.layers
    assert together.others == alone.others
    np.testing.assert_array_equal(together.draws.null, alone.draws.null)
