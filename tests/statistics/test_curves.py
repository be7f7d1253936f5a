"""Profiles over layers: worked numbers, laws, and the rates that smoothness used to break."""

import numpy as np
import pytest
from scipy import stats

from sae_merge_method.statistics.curves import (
    curve_correlation,
    depth_terms,
    excess,
    least_curve_p,
)


def smooth(generator: np.random.Generator, layers: int) -> list[float]:
    """A profile whose neighbours correlate at .9."""
    values = [generator.standard_normal()]
    for _ in range(layers - 1):
        values.append(0.9 * values[-1] + (1 - 0.81) ** 0.5 * generator.standard_normal())
    return values


def test_rho_is_scipys_and_p_the_share_of_images_as_far_from_0() -> None:
    one, other = [1.0, 4.0, 2.0, 8.0, 3.0], [2.0, 3.0, 1.0, 9.0, 5.0]
    found = curve_correlation(one, other)
    images = [np.roll(side, by) for side in (one, one[::-1]) for by in range(5)]
    rhos = [stats.spearmanr(image, other).statistic for image in images]
    assert found is not None and found.rho is not None
    assert found.rho == pytest.approx(rhos[0])
    assert found.p == sum(abs(rho) >= abs(found.rho) - 1e-9 for rho in rhos) / 10


def test_a_profile_that_no_image_matches_has_the_smallest_p_there_is() -> None:
    profile = [0.0, 5.0, 1.0, 3.0, 9.0, 2.0, 7.0, 4.0, 8.0, 6.0, 11.0, 10.0]
    found = curve_correlation(profile, [x**3 for x in profile])
    assert found is not None
    assert (found.n, found.rho, found.p) == (12, pytest.approx(1), least_curve_p(12))
    assert least_curve_p(12) == 1 / 24


def test_the_correlation_turns_with_either_side_and_does_not_see_scale() -> None:
    one, other = [1.0, 4.0, 2.0, 8.0, 3.0], [2.0, 3.0, 1.0, 9.0, 5.0]
    there, turned = curve_correlation(one, other), curve_correlation(one, [-7 * x for x in other])
    assert there is not None and turned is not None and there.rho is not None
    assert (turned.rho, turned.p) == (pytest.approx(-there.rho), there.p)


def test_the_partial_correlation_is_that_of_what_least_squares_leave_of_the_ranks() -> None:
    generator = np.random.default_rng(2)
    one, other, energy = generator.standard_normal((3, 15))
    found = curve_correlation(list(one), list(other), [*depth_terms(range(15)), list(energy)])
    fixed = np.column_stack([np.ones(15), np.arange(15), np.arange(15) ** 2, energy])
    left = [
        ranks - fixed @ np.linalg.lstsq(fixed, ranks, rcond=None)[0]
        for ranks in map(stats.rankdata, (one, other))
    ]
    assert found is not None
    assert found.rho == pytest.approx(np.corrcoef(left)[0, 1])


def test_what_depth_alone_explains_correlates_and_given_depth_does_not() -> None:
    arch = [-((x - 9.5) ** 2) for x in range(20)]
    generator = np.random.default_rng(1)
    one, other = (np.array(arch) + generator.normal(0, 4, (2, 20))).tolist()
    whole, partial = curve_correlation(one, other), curve_correlation(one, other, depth_terms(range(20)))
    assert whole is not None and whole.rho is not None and whole.rho > 0.8
    assert partial is not None and partial.p is not None and partial.p > 0.05


def test_there_is_no_rho_where_nothing_varies_and_none_at_all_for_two_layers() -> None:
    assert curve_correlation([1, 1, 1], [1, 2, 3]) == (3, None, None)
    assert curve_correlation([1, 2, 3], [2, 2, 2]) == (3, None, None)
    assert curve_correlation([1, 2], [1, 2]) is None
    # A straight line is all depth.
    assert curve_correlation(range(9), [3, 1, 2, 5, 4, 7, 6, 9, 8], depth_terms(range(9))) == (9, None, None)


def test_of_unrelated_smooth_profiles_few_are_called_related_where_spearmans_own_test_calls_many() -> None:
    generator = np.random.default_rng(0)
    alarms = {"shifts": 0, "given depth": 0, "spearman": 0}
    for _ in range(300):
        one, other = smooth(generator, 30), smooth(generator, 30)
        for name, given in (("shifts", []), ("given depth", depth_terms(range(30)))):
            found = curve_correlation(one, other, given)
            assert found is not None and found.p is not None
            alarms[name] += found.p < 0.05
        alarms["spearman"] += stats.spearmanr(one, other).pvalue < 0.05
    assert alarms["spearman"] > 0.25 * 300
    assert alarms["shifts"] < 0.1 * 300 and alarms["given depth"] < 0.1 * 300


def test_excess_is_a_prediction_interval_turned_into_a_test() -> None:
    found = excess(5.0, [1.0, 2.0, 3.0, 2.0, 1.0], 0.95)
    others = np.array([1.0, 2.0, 3.0, 2.0, 1.0])
    error = others.std(ddof=1) * (1 + 1 / 5) ** 0.5
    assert (found.others, found.at_least, found.rank_p) == (5, 0, 1 / 6)
    assert found.mean == pytest.approx(1.8) and found.difference == pytest.approx(3.2)
    assert found.t == pytest.approx(3.2 / error)
    assert found.p == pytest.approx(2 * stats.t.sf(3.2 / error, 4))
    half = stats.t.ppf(0.975, 4) * error
    assert (found.low, found.high) == (pytest.approx(3.2 - half), pytest.approx(3.2 + half))


def test_the_interval_leaves_0_out_exactly_where_the_test_is_significant() -> None:
    others = [1.0, 2.0, 3.0, 2.0, 1.0, 2.5]
    for value in np.linspace(-2, 6, 41):
        found = excess(float(value), others, 0.95)
        assert found.p is not None and found.low is not None and found.high is not None
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


@pytest.mark.parametrize("others", [[1.0] * 8, [1.0, 2.0, 3.0, 4.0]])
def test_without_spread_or_with_few_sets_there_is_a_rank_and_no_t(others: list[float]) -> None:
    found = excess(9.0, others, 0.95)
    assert found.rank_p == 1 / (1 + len(others))
    assert (found.low, found.high, found.t, found.p) == (None, None, None, None)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_an_excess_is_as_sure_at_any_scale_and_sets_that_gained_alike_but_for_rounding_spread_nothing(
    scale: float,
) -> None:
    others = [0.3, 0.1, 0.2, 0.5, 0.45, 0.15]
    assert excess(scale, [scale * one for one in others], 0.95).t == pytest.approx(
        excess(1.0, others, 0.95).t
    )
    alike = [scale * 0.3, scale * (0.1 + 0.2)] * 4
    assert excess(scale, alike, 0.95).t is None
    assert excess(0.0, [0.0] * 8, 0.95).t is None


def test_holding_the_same_thing_twice_holds_no_more() -> None:
    draw = np.random.default_rng(9)
    one, other, held = draw.normal(size=(3, 12)).tolist()
    alone = curve_correlation(one, other, [held])
    doubled = [2 * value + 3 for value in held]  # a constant is always held
    twice = curve_correlation(one, other, [held, held, doubled])
    assert alone is not None and twice is not None
    assert (twice.rho, twice.p) == (pytest.approx(alone.rho), alone.p)
