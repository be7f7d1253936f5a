"""Losses of documents: a change of ratios, one-sided tests of skewed changes, a margin."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from sae_merge_method.statistics.losses import (
    FEWEST_ITEMS,
    RatioChange,
    equivalence,
    items_needed,
    paired_ratio,
    skewness_allowed,
)


def of_one_size(changes: NDArray[np.float64]) -> RatioChange:
    """Of items of one unit each."""
    return paired_ratio([0.0] * len(changes), changes.tolist(), [1] * len(changes))


def skewed(n: int, shape: float = 1.0, mean: float = 0.0) -> NDArray[np.float64]:
    """Changes with a long tail upwards."""
    return np.asarray(stats.gamma(shape).ppf((np.arange(n) + 0.5) / n) - shape + mean)


def symmetric(n: int, mean: float = 0.0) -> NDArray[np.float64]:
    return np.asarray(stats.norm.ppf((np.arange(n) + 0.5) / n) + mean)


def test_a_change_of_ratios_weighs_items_by_their_size() -> None:
    # d = (2, 0, 1), t = (1, 3, 2): delta 3/6; e = (3/2, -3/2, 0); variance 3/2 * (9/4 + 9/4) / 36.
    change = paired_ratio([1.0, 5.0, 1.0], [3.0, 5.0, 2.0], [1, 3, 2])
    assert (change.delta, change.df, change.skewness) == (0.5, 2, 0)
    assert change.stderr == pytest.approx(math.sqrt(6.75) / 6)
    assert change.t == pytest.approx(0.5 / (math.sqrt(6.75) / 6))


def test_what_items_add_to_a_change_is_as_skewed_as_scipy_says() -> None:
    draw = np.random.default_rng(2)
    base, sizes = draw.normal(20, 3, 50), draw.integers(3, 90, 50)
    edited = base + sizes * draw.standard_gamma(1, 50)
    change = paired_ratio(base.tolist(), edited.tolist(), sizes.tolist())
    assert change.skewness == pytest.approx(stats.skew(edited - base - change.delta * sizes))
    assert change.skewness > 1


@pytest.mark.parametrize("mean", [-0.4, 0.0, 0.2])
def test_of_items_of_one_size_without_skewness_the_test_is_the_paired_t(mean: float) -> None:
    changes = symmetric(50, mean)
    t, p = stats.ttest_1samp(changes, 0.0)
    found = of_one_size(changes)
    assert (found.t, found.p) == (pytest.approx(t, abs=1e-12), pytest.approx(p))
    assert found.interval(0.9) == pytest.approx(stats.ttest_1samp(changes, 0).confidence_interval(0.9))


@pytest.mark.parametrize("supposed", [-0.5, -0.1, 0.0, 0.3, 2.0])
@pytest.mark.parametrize("shape", [1.0, 4.0])
def test_a_one_sided_p_is_the_larger_of_students_and_of_halls(shape: float, supposed: float) -> None:
    changes, n = skewed(300, shape), 300
    found = of_one_size(changes)
    t, g = stats.ttest_1samp(changes, supposed).statistic, float(stats.skew(changes))
    s = t / math.sqrt(n)
    straight = math.sqrt(n) * (s + g * s**2 / 3 + g**2 * s**3 / 27 + g / (6 * n))
    students, halls = stats.t(n - 1).cdf([t, straight])
    assert found.p_below(supposed) == pytest.approx(max(students, halls))
    assert found.p_above(supposed) == pytest.approx(max(1 - students, 1 - halls), abs=1e-14)


@pytest.mark.parametrize("changes", [skewed(300), skewed(300, 4.0), symmetric(40, 0.3), -skewed(200) - 0.2])
def test_the_interval_ends_where_the_tests_stop_rejecting(changes: NDArray[np.float64]) -> None:
    found = of_one_size(changes)
    for level in (0.5, 0.9, 0.95, 0.9999):
        low, high = found.interval(level) or (0, 0)
        assert (found.p_below(high), found.p_above(low)) == pytest.approx(((1 - level) / 2,) * 2)
        assert low < found.delta < high


@pytest.mark.parametrize("changes", [skewed(60, 9.0), symmetric(40, 0.3), skewed(300)])
def test_losses_that_fall_are_judged_as_those_that_rise(changes: NDArray[np.float64]) -> None:
    up, down = of_one_size(changes), of_one_size(-changes)
    assert (up.p, up.skewness) == (down.p, -down.skewness)
    assert up.p_below(0.1) == down.p_above(-0.1)
    (low, high), (lower, higher) = up.interval(0.9) or (0, 0), down.interval(0.9) or (0, 0)
    assert (low, high) == (-higher, -lower)


def test_a_long_tail_reaches_farther_than_students_interval_and_costs_nothing_on_the_other_side() -> None:
    found = of_one_size(skewed(300))
    low, high = found.interval(0.9) or (0, 0)
    students = stats.ttest_1samp(skewed(300), 0).confidence_interval(0.9)
    assert low == pytest.approx(students.low)
    assert high > students.high + 0.01 * (students.high - students.low)


def test_skewness_that_is_next_to_none_leaves_the_interval_as_it_is() -> None:
    none = RatioChange(0.1, 0.05, 39, 0.0).interval(0.9)
    assert none is not None
    for skewness in (1e-300, 1e-12, -1e-9, 1e-6):
        assert RatioChange(0.1, 0.05, 39, skewness).interval(0.9) == pytest.approx(none, abs=1e-6)


def test_documents_are_enough_up_to_the_skewness_that_is_allowed_them() -> None:
    even, long, short = items_needed(0), items_needed(2), items_needed(-3)
    assert (even, long, short) == (FEWEST_ITEMS, FEWEST_ITEMS + 100, FEWEST_ITEMS)
    for items in (FEWEST_ITEMS, 29, 60, 300, 1000):
        most = skewness_allowed(items)
        assert items_needed(most - 1e-9) <= items < items_needed(most + 1e-6)


def test_documents_too_few_for_their_skewness_test_nothing_on_the_side_of_the_long_tail() -> None:
    allowed = skewness_allowed(60)
    for skewness, above, below in ((allowed + 0.01, True, False), (-allowed - 0.01, False, True)):
        change = RatioChange(0.02, 0.01, 59, skewness)
        assert (change.p_above(0) is not None, change.p_below(0.05) is not None) == (above, below)
        assert (change.p is not None) == above
        assert (change._replace(delta=-0.02).p is not None) == below
        found = equivalence(change, 0.01, 0.05)
        assert found is not None and found.p_within is None
        assert (found.p_above is not None) == above
    even = RatioChange(0.02, 0.01, FEWEST_ITEMS - 2, 0.0)
    assert even.p is even.p_below(0) is even.p_above(0) is None and even.t == 2
    assert even._replace(df=FEWEST_ITEMS - 1).p is not None


def test_a_loss_without_its_other_side_is_an_error() -> None:
    for sides in (([1.0], [1.0, 2.0], [1, 1]), ([1.0, 2.0], [1.0, 2.0], [1])):
        with pytest.raises(ValueError):
            paired_ratio(*sides)


def test_a_change_of_ratios_of_one_item_or_of_items_that_moved_alike_has_no_error() -> None:
    one = paired_ratio([1.0], [3.0], [2])
    assert one == (1.0, None, 0, 0.0)
    alike = paired_ratio([1.0, 2.0], [2.0, 4.0], [1, 2])
    assert (alike, alike.t, alike.p) == ((1.0, None, 1, 0.0), None, None)
    assert alike.interval(0.9) is alike.p_below(0) is equivalence(alike, 0.01, 0.05) is None


@pytest.mark.parametrize("mean", [0.0, 0.08, 0.2, -0.3])
def test_without_skewness_equivalence_is_statsmodels_two_one_sided_t_tests(mean: float) -> None:
    changes = symmetric(40, mean)
    described = DescrStatsW(changes)
    found = equivalence(of_one_size(changes), 0.25, 0.05)
    assert found is not None
    p, _, _ = described.ttost_mean(-0.25, 0.25)
    assert found.p_within == pytest.approx(p)
    assert found.p_above == pytest.approx(described.ttest_mean(0.25, alternative="larger")[1])
    assert found.interval == pytest.approx(described.tconfint_mean(alpha=0.1))


@pytest.mark.parametrize("mean", [0.0, 0.05, 0.12, 0.2, -0.12])
def test_a_change_is_within_the_margin_exactly_where_its_interval_is(mean: float) -> None:
    found = equivalence(of_one_size(skewed(300, mean=mean)), 0.18, 0.05)
    assert found is not None and found.p_within is not None
    inside = found.interval.low > -0.18 and found.interval.high < 0.18
    assert inside == (found.p_within < 0.05)


@pytest.mark.parametrize("skewness", [-4.0, -1.0, 0.0, 1.0, 4.0])
def test_an_interval_holds_the_change_and_grows_with_its_level_whatever_the_skewness(skewness: float) -> None:
    change = RatioChange(0.1, 0.05, FEWEST_ITEMS - 1, skewness)
    ends = [change.interval(level) or (0, 0) for level in (0.6, 0.9, 0.99, 0.9999999)]
    assert ends == sorted(ends, reverse=True)
    assert all(low < 0.1 < high for low, high in ends)
    assert [high for _, high in ends] == sorted(high for _, high in ends)
