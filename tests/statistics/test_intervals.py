"""Intervals, counts and what a test can detect: against scipy and statsmodels, and by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from sae_merge_method.statistics.intervals import (
    basic_bootstrap,
    bootstrap_interval,
    count_right,
    detectable_difference,
    newcombe_interval,
    normal_interval,
    prediction_interval,
    two_sided_z,
    wilson_interval,
)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_the_normal_interval_is_scipys(level: float) -> None:
    assert normal_interval(0.3, 0.02, level) == pytest.approx(stats.norm.interval(level, 0.3, 0.02))
    assert two_sided_z(level) == pytest.approx(stats.norm.isf((1 - level) / 2))


@pytest.mark.parametrize(("right", "n"), [(0, 10), (10, 10), (160, 540), (1, 3), (5000, 5000)])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_wilson_agrees_with_statsmodels_and_scipy_and_stays_inside(right: int, n: int, level: float) -> None:
    interval = wilson_interval(right, n, level)
    assert interval == pytest.approx(proportion_confint(right, n, 1 - level, "wilson"), abs=1e-12)
    expected = stats.binomtest(right, n).proportion_ci(level, "wilson")
    assert interval == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= interval.low <= right / n <= interval.high <= 1


def test_all_wrong_and_all_right_reach_the_end_exactly() -> None:
    assert wilson_interval(0, 7, 0.95).low == 0.0
    assert wilson_interval(7, 7, 0.95).high == 1.0


@pytest.mark.parametrize(
    ("share", "stderr", "n", "right"),
    [
        (160 / 540, math.sqrt(160 / 540 * 380 / 540 / 539), 540, 160),
        (0.5, math.sqrt(0.25), 2, 1),
        (0.0, 0.0, 9, 0),
        (1.0, 0.0, 9, 9),
        # A mean of graded scores that happens to be a whole number of problems, and one that is not.
        (0.5, 0.01, 100, None),
        (0.505, math.sqrt(0.505 * 0.495 / 99), 100, None),
        (0.5, None, 100, None),
        (0.5, 0.1, None, None),
        (1.0, 0.0, 1, None),
        (12.5, 0.3, 100, None),
        (-0.5, 0.3, 100, None),
    ],
)
def test_right_answers_are_counted_only_where_problems_are_right_or_wrong(
    share: float, stderr: float | None, n: int | None, right: int | None
) -> None:
    assert count_right(share, stderr, n) == right


def test_the_bootstrap_interval_agrees_with_scipys_and_repeats_itself() -> None:
    differences = [1.0] * 103 + [0.0] * 387 + [-1.0] * 50
    interval = bootstrap_interval(differences, 0.95, 20_000, seed=0)
    expected = stats.bootstrap(
        (differences,), lambda x, axis: x.mean(axis=axis), method="percentile", n_resamples=20_000, rng=1
    ).confidence_interval
    assert interval == pytest.approx((expected.low, expected.high), abs=0.003)
    assert interval == bootstrap_interval(differences, 0.95, 20_000, seed=0)
    assert interval != bootstrap_interval(differences, 0.95, 20_000, seed=1)
    # The order of problems does not matter, nor that they are right or wrong.
    assert interval == bootstrap_interval(sorted(differences), 0.95, 20_000, seed=0)
    halves = bootstrap_interval([d / 2 for d in differences], 0.95, 20_000, seed=0)
    assert halves == pytest.approx([end / 2 for end in interval])


def test_answers_to_one_problem_are_resampled_together() -> None:
    sums, sizes = [5.0, -3.0, 0.0, 2.0] * 10, [5, 5, 5, 5] * 10
    together = bootstrap_interval(sums, 0.95, 5_000, seed=0, sizes=sizes)
    assert together == pytest.approx([end / 5 for end in bootstrap_interval(sums, 0.95, 5_000, seed=0)])
    uneven = bootstrap_interval([4.0, 0.0], 0.95, 1_000, seed=0, sizes=[4, 1])
    assert uneven == (0.0, 1.0)


@pytest.mark.parametrize(
    ("base", "edited"), [((0, 50), (4, 50)), ((50, 50), (0, 50)), ((160, 540), (213, 530))]
)
def test_newcombes_interval_is_that_of_statsmodels(base: tuple[int, int], edited: tuple[int, int]) -> None:
    expected = confint_proportions_2indep(*edited, *base, method="newcomb", compare="diff", alpha=0.1)
    assert newcombe_interval(base, edited, 0.9) == pytest.approx(expected, abs=1e-9)


def test_a_bootstrap_of_one_value_knows_no_other() -> None:
    assert bootstrap_interval([0.5, 0.5], 0.95, 100, seed=0) == (0.5, 0.5)


def test_the_basic_interval_is_reflected_about_the_observed_value() -> None:
    interval = basic_bootstrap(1.2, np.linspace(1.3, 2.3, 1001), level=0.95)
    assert (interval.low, interval.high) == pytest.approx((2.4 - 2.275, 2.4 - 1.325))
    assert interval.estimate == pytest.approx(0.6)


def test_the_basic_interval_is_that_of_scipy() -> None:
    sample = np.random.default_rng(0).exponential(size=40)
    reference = stats.bootstrap(
        (sample,), np.mean, n_resamples=500, confidence_level=0.9, method="basic", random_state=0
    )
    interval = basic_bootstrap(float(sample.mean()), reference.bootstrap_distribution, level=0.9)
    assert interval[:2] == pytest.approx(tuple(reference.confidence_interval))


def test_the_prediction_interval_is_students_for_one_more_draw() -> None:
    draws = [1.0, 2.0, 4.0]
    expected = stats.t.interval(0.9, 2, loc=7 / 3, scale=stats.tstd(draws) * math.sqrt(4 / 3))
    assert prediction_interval(draws, 0.9) == pytest.approx(expected)
    assert prediction_interval([3.0], 0.9) == (3, 3)


def test_two_draws_tell_a_spread_and_one_none() -> None:
    low, high = prediction_interval([0.2, 0.4], 0.9)
    reach = stats.t.ppf(0.95, 1) * 0.02**0.5 * 1.5**0.5
    assert (low, high) == (pytest.approx(0.3 - reach), pytest.approx(0.3 + reach))
    assert prediction_interval([0.2], 0.9) == (0.2, 0.2)


def test_the_detectable_difference_is_found_with_the_power_it_promises() -> None:
    sd, n = 0.46, 540
    smallest = detectable_difference(sd * math.sqrt(2 / n), alpha=0.05, power=0.8)
    # The power calculation counts the far tail too, which here is 1e-6.
    assert NormalIndPower().power(smallest / sd, n, 0.05) == pytest.approx(0.8, abs=1e-5)
