"""Paired tests, intervals and corrections, against scipy and statsmodels."""

import math
import random
from itertools import pairwise

import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from sae_merge_method.statistics.intervals import (
    count_right,
    detectable_difference,
    prediction_interval,
    wilson_interval,
)
from sae_merge_method.statistics.multiplicity import benjamini_hochberg, holm
from sae_merge_method.statistics.tests import bootstrap_interval, mcnemar_p, paired_z

from .conftest import standard_error


@pytest.mark.parametrize(("right", "wrong"), [(0, 0), (1, 0), (0, 5), (7, 7), (103, 50), (1386, 1025)])
def test_mcnemar_agrees_with_scipy_and_statsmodels(right: int, wrong: int) -> None:
    ours = mcnemar_p(right, wrong)
    assert ours == mcnemar_p(wrong, right)
    assert ours == pytest.approx(mcnemar([[9, right], [wrong, 9]], exact=True).pvalue, rel=1e-9)
    if right + wrong:
        assert ours == pytest.approx(stats.binomtest(right, right + wrong).pvalue, rel=1e-9)


def test_the_paired_z_is_that_of_the_differences() -> None:
    draw = random.Random(0)
    differences = [draw.choice((-1.0, 0.0, 0.0, 1.0, 1.0)) for _ in range(200)]
    assert paired_z(differences)[:2] == pytest.approx(DescrStatsW(differences).ztest_mean(0))


@pytest.mark.parametrize(
    ("differences", "reason"), [([], "n = 0"), ([1.0], "n = 1"), ([0.0, 0.0], "zero variance")]
)
def test_without_variance_or_problems_there_is_no_paired_z(differences: list[float], reason: str) -> None:
    test = paired_z(differences)
    assert test.z is test.p is None
    assert reason in str(test.reason)


def test_the_bootstrap_interval_agrees_with_scipys_and_repeats_itself() -> None:
    differences = [1.0] * 103 + [0.0] * 387 + [-1.0] * 50
    ours = bootstrap_interval(differences, 0.95, 20_000, seed=0)
    theirs = stats.bootstrap(
        (differences,), lambda x, axis: x.mean(axis=axis), method="percentile", n_resamples=20_000, rng=1
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.003)
    assert ours == bootstrap_interval(differences, 0.95, 20_000, seed=0)
    assert ours != bootstrap_interval(differences, 0.95, 20_000, seed=1)
    # The order of problems does not matter, nor that they are right or wrong.
    assert ours == bootstrap_interval(sorted(differences), 0.95, 20_000, seed=0)
    halves = bootstrap_interval([d / 2 for d in differences], 0.95, 20_000, seed=0)
    assert halves == pytest.approx([end / 2 for end in ours])


@pytest.mark.parametrize(("right", "n"), [(0, 10), (10, 10), (160, 540), (1, 3), (5000, 5000)])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_wilson_agrees_with_statsmodels_and_stays_inside(right: int, n: int, level: float) -> None:
    ours = wilson_interval(right, n, level)
    assert ours == pytest.approx(proportion_confint(right, n, 1 - level, "wilson"), abs=1e-12)
    assert 0 <= ours.low <= right / n <= ours.high <= 1


def test_the_detectable_difference_is_found_with_the_power_it_promises() -> None:
    sd, n = 0.46, 540
    smallest = detectable_difference(sd * math.sqrt(2 / n), alpha=0.05, power=0.8)
    # The power calculation counts the far tail too, which here is 1e-6.
    assert NormalIndPower().power(smallest / sd, n, 0.05) == pytest.approx(0.8, abs=1e-5)


@pytest.mark.parametrize(
    "p_values", [[0.01, 0.04, 0.03, 0.5], [0.9, 0.001, 0.001, 0.05, 0.2, 0.7, 0.02], [0.3], [], [0.6] * 3]
)
def test_corrections_agree_with_statsmodels(p_values: list[float]) -> None:
    for ours, theirs in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        expected = list(multipletests(p_values, method=theirs)[1]) if p_values else []
        assert ours(p_values) == pytest.approx(expected)


def test_a_correction_never_lowers_a_p_nor_reorders_them() -> None:
    draw = random.Random(1)
    p_values = sorted(draw.random() ** 3 for _ in range(30))
    for correct in (holm, benjamini_hochberg):
        adjusted = correct(p_values)
        assert all(0 <= raw <= corrected <= 1 for raw, corrected in zip(p_values, adjusted, strict=True))
        assert all(low <= high for low, high in pairwise(adjusted))


def test_right_answers_are_counted_only_where_problems_are_right_or_wrong() -> None:
    assert count_right(160 / 540, float(standard_error(160, 540)), 540) == 160
    # A mean of graded scores that happens to be a whole number of problems.
    assert count_right(0.5, 0.01, 100) is None
    assert count_right(0.5, None, 100) is None
    assert count_right(12.5, 0.3, 100) is None


def test_the_prediction_interval_is_students_for_one_more_draw() -> None:
    draws = [1.0, 2.0, 4.0]
    expected = stats.t.interval(0.9, 2, loc=7 / 3, scale=stats.tstd(draws) * math.sqrt(4 / 3))
    assert prediction_interval(draws, 0.9) == pytest.approx(expected)
    assert prediction_interval([3.0], 0.9) == (3, 3)
