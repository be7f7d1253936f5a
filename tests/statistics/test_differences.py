"""Tests of a difference, against worked numbers and independent implementations."""

import math

import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.proportion import proportions_ztest
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from sae_merge_method.statistics.differences import (
    fisher,
    mcnemar,
    two_sided_p,
    z_pooled,
    z_unpooled,
)


def standard_error(right: int, n: int) -> float:
    """lm-eval's: sample standard deviation over sqrt(n)."""
    return math.sqrt(right / n * (1 - right / n) / (n - 1))


def test_the_papers_number_theory_counts_give_the_papers_z_and_p() -> None:
    stderr = [standard_error(right, 540) for right in (160, 213)]
    test = z_unpooled(160 / 540, stderr[0], 213 / 540, stderr[1], 540)
    assert f"{test.z:+.2f} {test.p:.4f}" == "+3.41 0.0007"
    assert test.z == pytest.approx(3.4067992728796743)


@pytest.mark.parametrize(("right", "n"), [((160, 213), 540), ((3, 9), 10), ((40, 12), 100)])
def test_unpooled_agrees_with_statsmodels_and_pooled_too(right: tuple[int, int], n: int) -> None:
    answers = [[1.0] * k + [0.0] * (n - k) for k in right]
    means = CompareMeans(*(DescrStatsW(side) for side in answers[::-1]))
    test = z_unpooled(right[0] / n, standard_error(right[0], n), right[1] / n, standard_error(right[1], n), n)
    assert test[:2] == pytest.approx(means.ztest_ind(usevar="unequal"))
    assert z_pooled(*right, n, n)[:2] == pytest.approx(proportions_ztest(right[::-1], [n, n]))


@pytest.mark.parametrize("z", [0.0, 0.5, -1.96, 3.41, 9.0, 30.0])
def test_p_is_the_normal_tail_on_both_sides_far_out_as_well(z: float) -> None:
    assert two_sided_p(z) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-12)


def test_swapping_the_sides_turns_the_sign_and_nothing_else() -> None:
    there = z_unpooled(0.2, 0.05, 0.5, 0.04, 60)
    back = z_unpooled(0.5, 0.04, 0.2, 0.05, 60)
    assert there.z is not None
    assert (-there.z, there.p) == back[:2]
    assert z_pooled(10, 20, 50, 60).z == pytest.approx(-(z_pooled(20, 10, 60, 50).z or 0))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((0.0, 0.0, 0.0, 0.0, 10), "zero variance"),
        ((0.0, 0.0, 1.0, 0.0, 10), "zero variance"),
        ((1.0, None, 0.0, None, 1), "n = 1"),
        ((1.0, 0.1, 0.0, 0.1, 0), "n = 0"),
        ((0.4, None, 0.5, 0.1, 10), "no standard error for base"),
        ((0.4, 0.1, 0.5, None, None), "no standard error for edited"),
    ],
)
def test_where_there_is_no_z_the_reason_is_given(
    values: tuple[float, float | None, float, float | None, int | None], reason: str
) -> None:
    test = z_unpooled(*values)
    assert test.z is test.p is None
    assert reason in str(test.reason)


def test_two_problems_are_enough_and_one_side_without_variance_is_still_tested() -> None:
    test = z_unpooled(0.0, 0.0, 0.5, 0.1, 2)
    assert test == (5.0, two_sided_p(5.0), None)


def test_the_pooled_test_has_the_same_guards() -> None:
    assert "zero variance" in str(z_pooled(0, 0, 10, 10).reason)
    assert "zero variance" in str(z_pooled(10, 20, 10, 20).reason)
    assert "n = 1" in str(z_pooled(0, 1, 1, 10).reason)
    assert "n = 1" in str(z_pooled(0, 1, 10, 1).reason)
    assert z_pooled(0, 2, 2, 2).z == 2.0


@pytest.mark.parametrize(("right", "wrong"), [(0, 0), (1, 0), (0, 5), (7, 7), (103, 50), (1386, 1025)])
def test_mcnemar_agrees_with_scipy_and_statsmodels(right: int, wrong: int) -> None:
    test = mcnemar(right, wrong)
    assert test.p == mcnemar(wrong, right).p
    assert test.p == pytest.approx(statsmodels_mcnemar([[9, right], [wrong, 9]], exact=True).pvalue, rel=1e-9)
    if right + wrong:
        assert test.p == pytest.approx(stats.binomtest(right, right + wrong).pvalue, rel=1e-9)


def test_mcnemar_by_hand() -> None:
    assert mcnemar(5, 0) == (None, 2 / 32, None)
    assert mcnemar(1, 3) == (None, 2 * (1 + 4) / 16, None)
    assert mcnemar(2, 2).p == 1.0


@pytest.mark.parametrize(
    ("right", "n"),
    [((0, 4), (50, 50)), ((50, 0), (50, 50)), ((3, 9), (10, 40)), ((0, 0), (5, 9)), ((9, 2), (9, 7))],
)
def test_fishers_test_is_scipys(right: tuple[int, int], n: tuple[int, int]) -> None:
    test = fisher(*right, *n)
    table = [[right[1], n[1] - right[1]], [right[0], n[0] - right[0]]]
    assert test.p == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-9)
