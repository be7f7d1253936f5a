"""Losses of documents: a change of ratios, Student's tests, a margin; by hand and against statsmodels."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from sae_merge_method.statistics.losses import FEWEST_ITEMS, equivalence, paired_ratio, t_interval


def test_a_change_of_ratios_weighs_items_by_their_size() -> None:
    # d = (2, 0), t = (1, 3): delta 2/4; residuals 2 - 1/2 and 0 - 3/2; variance 2/1 * (9/4 + 9/4) / 16.
    change = paired_ratio([1.0, 5.0], [3.0, 5.0], [1, 3])
    assert change.delta == 0.5
    assert change.stderr == pytest.approx(0.75)
    assert (change.t, change.df) == (pytest.approx(2 / 3), 1)


@pytest.mark.parametrize("n", [FEWEST_ITEMS, 50])
def test_of_items_of_one_size_the_change_of_ratios_is_the_paired_t(n: int) -> None:
    draw = np.random.default_rng(3)
    base = draw.normal(20, 3, n)
    edited = base + draw.normal(0.3, 1, n)
    change = paired_ratio(list(base), list(edited), [7] * n)
    assert change.delta == pytest.approx((edited - base).mean() / 7)
    assert (change.t, change.p) == pytest.approx(stats.ttest_rel(edited, base)[:2])


def test_with_fewer_than_twenty_items_there_is_an_error_and_no_p() -> None:
    draw = np.random.default_rng(3)
    base, edited = draw.normal(20, 3, (2, FEWEST_ITEMS - 1))
    change = paired_ratio(list(base), list(edited), [7] * (FEWEST_ITEMS - 1))
    assert change.stderr is not None and change.t is not None and change.p is None


def test_a_change_of_ratios_of_one_item_or_of_items_that_moved_alike_has_no_error() -> None:
    assert paired_ratio([1.0], [3.0], [2]) == (1.0, None, 0)
    alike = paired_ratio([1.0, 2.0], [2.0, 4.0], [1, 2])
    assert (alike, alike.t, alike.p) == ((1.0, None, 1), None, None)


@pytest.mark.parametrize("mean", [0.0, 0.008, 0.02, -0.03])
def test_equivalence_is_statsmodels_two_one_sided_t_tests(mean: float) -> None:
    changes = np.random.default_rng(5).normal(mean, 0.02, 25)
    described = DescrStatsW(changes)
    error = float(changes.std(ddof=1)) / 5
    found = equivalence(float(changes.mean()), error, 24, 0.01, 0.05)
    p, _, _ = described.ttost_mean(-0.01, 0.01)
    assert found.p_within == pytest.approx(p)
    assert found.p_above == pytest.approx(described.ttest_mean(0.01, alternative="larger")[1])
    assert found.interval == pytest.approx(described.tconfint_mean(alpha=0.1))
    inside = found.interval.low > -0.01 and found.interval.high < 0.01
    assert inside == (found.p_within < 0.05)


def test_students_interval_is_wider_than_the_normal_one_where_items_are_few() -> None:
    low, high = t_interval(1.0, 0.5, 3, 0.95)
    assert (low + high) / 2 == pytest.approx(1.0)
    assert high - 1 == pytest.approx(0.5 * stats.t.ppf(0.975, 3))
