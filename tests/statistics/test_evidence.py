"""What a test may look at: the two means, the pairs, and whether the pairs are all that the means are of."""

import math

import pytest

from sae_merge_method.statistics.evidence import Evidence, Flips, Mean

PAIRS = [(0.0, 1.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]


def evidence(
    pairs=PAIRS, base: float = 0.5, edited: float = 0.75, n: int | None = 4, problems=()
) -> Evidence:
    return Evidence(Mean(base, None, n), Mean(edited, None, n), pairs, problems)


def test_the_problems_that_were_right_are_told_by_lm_evals_own_standard_error():
    share, n = 0.4, 10
    assert Mean(share, math.sqrt(share * (1 - share) / (n - 1)), n).right == 4


def test_a_count_that_is_known_is_taken_before_one_that_is_inferred():
    assert Mean(0.4, 0.5, 10, counted=7).right == 7


def test_scores_that_are_no_shares_of_right_ones_have_no_count():
    assert Mean(0.4, 0.01, 10).right is None
    assert Mean(0.4, None, 10).right is None
    assert Mean(0.4, 0.1, None).right is None


def test_differences_are_edited_minus_base_and_flips_count_them():
    assert evidence().differences == [1.0, 1.0, -1.0, 0.0]
    assert evidence().flips == Flips(newly_right=2, newly_wrong=1)


def test_problems_with_partial_credit_have_no_flips():
    assert evidence([(0.0, 0.5), (1.0, 1.0)]).flips is None


@pytest.mark.parametrize(
    ("problems", "clustered"), [((), False), (("a", "b", "c", "d"), False), (("a", "a", "b", "b"), True)]
)
def test_several_answers_to_one_problem_are_a_cluster(problems, clustered):
    assert evidence(problems=problems).is_clustered is clustered


def test_pairs_cover_both_sides_where_they_are_as_many_and_differ_as_the_means_do():
    assert evidence().covers_both
    assert evidence(n=None).covers_both
    assert not evidence(n=5).covers_both
    assert not evidence(edited=0.8).covers_both
    assert not evidence(pairs=()).covers_both


def test_large_scores_may_differ_from_their_pairs_by_rounding_alone():
    pairs = [(1e6, 2e6), (3e6, 4e6)]
    assert evidence(pairs, 2e6, 3e6 + 1e-4, 2).covers_both
    assert not evidence(pairs, 2e6, 3e6 + 1.0, 2).covers_both
