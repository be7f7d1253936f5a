"""Scores against numbers worked by hand."""

import math

import numpy as np
import pytest
import torch

from sae_merge_method.diagnose.specificity import EPSILON, SCORES, TOP_K, Score, find_score
from sae_merge_method.errors import UsageError


def means(**values: list[float]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}


def test_kl_bits_of_two_features_is_the_number_worked_by_hand() -> None:
    # p = (3/4, 1/4), q = (1/4, 3/4); each moved 1 % towards (1/2, 1/2): (0.7475, 0.2525) and back.
    p, q = 0.7475, 0.2525
    expected = p * math.log2(p / q) + q * math.log2(q / p)
    score = SCORES["kl_bits"].layer(means(usage=[3, 1]), means(usage=[2, 6]))
    assert score.item() == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(0.7751, abs=1e-4)


def test_kl_bits_of_disjoint_features_reaches_its_bound() -> None:
    score = SCORES["kl_bits"].layer(means(usage=[5, 0]), means(usage=[0, 1]))
    bound = math.log2(2 / EPSILON - 1)
    assert score.item() == pytest.approx((1 - EPSILON) * bound, rel=1e-12)
    assert score.item() < bound


@pytest.mark.parametrize("name", ["kl_bits", "js_bits", "selectivity"])
def test_equal_usage_scores_zero(name: str) -> None:
    usage = means(usage=[1, 2, 0, 4])
    assert SCORES[name].layer(usage, usage).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["kl_bits", "js_bits"])
def test_divergences_do_not_see_that_one_corpus_activates_more(name: str) -> None:
    target, control = means(usage=[1, 2, 3]), means(usage=[3, 2, 1])
    louder = {"usage": 7 * target["usage"]}
    score = SCORES[name]
    assert score.layer(louder, control).item() == pytest.approx(score.layer(target, control).item())


def test_js_bits_agrees_with_scipy_and_is_one_for_disjoint_features() -> None:
    from scipy.spatial.distance import jensenshannon

    p, q = np.array([0.2, 0.5, 0.3, 0]), np.array([0.6, 0.1, 0, 0.3])
    score = SCORES["js_bits"]
    expected = jensenshannon(p, q, base=2) ** 2
    assert score.layer(means(usage=list(p)), means(usage=list(q))).item() == pytest.approx(expected)
    assert score.layer(means(usage=[1, 0]), means(usage=[0, 1])).item() == pytest.approx(1)


def test_selectivity_weighs_features_by_target_usage() -> None:
    # Selectivities 1/2 and -1/2, target shares 3/4 and 1/4.
    score = SCORES["selectivity"].layer(means(usage=[3, 1]), means(usage=[1, 3]))
    assert score.item() == pytest.approx(0.75 * 0.5 - 0.25 * 0.5)


def test_top_k_selectivity_takes_no_feature_below_an_even_share() -> None:
    contributions = SCORES["top_k_selectivity"].contributions(means(usage=[4, 4, 1]), means(usage=[4, 0, 0]))
    assert contributions.tolist() == [0, 1, 0]


def test_top_k_selectivity_takes_a_feature_of_exactly_an_even_share() -> None:
    contributions = SCORES["top_k_selectivity"].contributions(means(usage=[1, 1]), means(usage=[0, 1]))
    assert contributions.tolist() == [1, 0]


def test_frequency_gap_takes_only_features_rare_on_control() -> None:
    target, control = means(rate=[0.5, 0.9, 0.1]), means(rate=[0.02, 0.2, 0.0])
    contributions = SCORES["frequency_gap"].contributions(target, control)
    assert contributions.tolist() == pytest.approx([0.48, 0, 0.1])


def test_cohens_d_is_the_difference_in_standard_deviations() -> None:
    # Target documents 4, 6 (mean 5, variance 1), control 1, 3 (mean 2, variance 1): d = 3.
    target, control = means(usage=[5], square=[26]), means(usage=[2], square=[5])
    assert SCORES["cohens_d_top_k"].layer(target, control).item() == pytest.approx(3)


def test_cohens_d_is_bounded_where_documents_do_not_vary() -> None:
    # No variance on either side: the sd counts as 1 % of 5 + 1, and of 5 + 0.
    target = means(usage=[5, 5], square=[25, 25])
    d = SCORES["cohens_d_top_k"].contributions(target, means(usage=[1, 0], square=[1, 0]))
    assert d.tolist() == pytest.approx([4 / 0.06, 100])


def test_auroc_is_the_share_of_pairs_in_which_the_target_ranks_higher() -> None:
    # Documents 4, 6 against 1, 5: three pairs of four. Midranks over 4: (2, 4) and (1, 3).
    score = SCORES["auroc_top_k"]
    assert score.contributions(means(rank=[3 / 4]), means(rank=[2 / 4])).item() == pytest.approx(0.75)
    assert score.contributions(means(rank=[3.5 / 4]), means(rank=[1.5 / 4])).item() == pytest.approx(1)


def test_a_score_of_the_top_k_is_the_mean_of_the_32_largest_or_of_all_there_are() -> None:
    score = SCORES["auroc_top_k"]
    assert (TOP_K, score.top_k) == (32, 32)
    contributions = torch.arange(1, 35, dtype=torch.float64)
    assert score.reduce(contributions.flip(0)).item() == pytest.approx(sum(range(3, 35)) / 32)
    assert score.reduce(contributions[:4]).item() == pytest.approx(2.5)
    assert SCORES["js_bits"].reduce(contributions[:4]).item() == pytest.approx(10)


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("kl_bits", (0, math.log2(199))), ("js_bits", (0, 1)), ("selectivity", (-1, 1)),
        ("top_k_selectivity", (-1, 1)), ("frequency_gap", (-0.02, 1)), ("auroc_top_k", (0, 1)),
        ("cohens_d_top_k", (-100, 100)),
    ],
)  # fmt: skip
def test_a_score_names_its_bounds(name: str, bounds: tuple[float, float]) -> None:
    assert SCORES[name].bounds == pytest.approx(bounds)
    low, high = bounds
    assert f", {low:.3g} to {high:.3g} (" in SCORES[name].summary


def test_scores_are_values() -> None:
    assert len(set(SCORES.values())) == len(SCORES)


@pytest.mark.parametrize("score", SCORES.values(), ids=lambda score: score.name)
def test_no_score_is_shaken_by_features_or_sides_that_never_fire(score: object) -> None:
    silent = means(usage=[0, 0], square=[0, 0], rate=[0, 0], rank=[0.5, 0.5])
    firing = means(usage=[0, 1], square=[0, 1], rate=[0, 1], rank=[0.5, 0.6])
    for target, control in ((silent, silent), (firing, silent), (silent, firing)):
        assert math.isfinite(score.layer(target, control).item())


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_a_score_reads_any_leading_shape(score: Score) -> None:
    target, control = (
        {need: torch.rand(2, 3, 40, dtype=torch.float64) for need in score.needs} for _ in range(2)
    )
    whole = score.layer(target, control)
    one = score.layer(*({need: means[1, 2] for need, means in side.items()} for side in (target, control)))
    assert whole.shape == (2, 3)
    assert whole[1, 2].item() == pytest.approx(one.item(), rel=1e-12)


def test_an_unknown_score_lists_the_choices() -> None:
    with pytest.raises(UsageError, match="expected one of kl_bits, js_bits"):
        find_score("kl")
