"""Shares by their mean and spread: exact where they are Beta, one or none where they are fixed."""

import numpy as np
import pytest
from scipy import stats

from sae_merge_method.statistics.shares import RandomShare


@pytest.mark.parametrize(("r", "d"), [(2, 64), (1, 2), (1, 1.5)])
def test_one_direction_in_a_random_subspace_is_exactly_beta(r: float, d: float) -> None:
    beta = stats.beta(r / 2, (d - r) / 2)
    share = RandomShare(float(beta.mean()), float(beta.std()))
    assert share.interval(0.99) == pytest.approx(beta.ppf([0.005, 0.995]))
    high, low = float(beta.ppf(0.99)), float(beta.ppf(0.01))
    assert (share.p(high), share.p(low)) == (pytest.approx(2 * beta.sf(high)), pytest.approx(0.02))


def test_a_narrow_share_is_near_normal() -> None:
    share = RandomShare(0.3, 0.002)
    assert share.interval(0.95) == pytest.approx((0.3 - 1.96 * 0.002, 0.3 + 1.96 * 0.002), abs=1e-5)


def test_the_interval_leaves_a_value_out_exactly_where_its_p_is_small() -> None:
    share = RandomShare(0.05, 0.03)
    low, high = share.interval(0.95)
    for value in np.linspace(0, 0.3, 61):
        p = share.p(float(value))
        assert p is not None and (p < 0.05) == (value < low or value > high)


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 0.1), (1.0, 0.1), (0.4, 0.0), (0.5, 0.6)])
def test_what_cannot_vary_or_cannot_be_has_no_p(mean: float, sd: float) -> None:
    assert RandomShare(mean, sd).p(0.3) is None
    assert RandomShare(mean, sd).interval(0.9) == (mean, mean)


def test_a_value_beyond_the_ends_is_as_far_out_as_the_end() -> None:
    assert RandomShare(0.5, 0.1).p(1.2) == RandomShare(0.5, 0.1).p(1.0) == 0.0
