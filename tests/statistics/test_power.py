"""Power of a paired comparison, by simulation and against its own inverse."""

import numpy as np
import pytest

from sae_merge_method.statistics.power import POWER, detectable, paired_stderr, problems_needed


def test_the_error_of_a_paired_difference_shrinks_with_correlation() -> None:
    generator = np.random.default_rng(0)
    shared, *own = generator.standard_normal((3, 400_000))
    base, edited = (np.sqrt(0.6) * shared + np.sqrt(0.4) * one for one in own)
    assert paired_stderr(1.0, 0.6, 100) == pytest.approx((edited - base).std() / 10, rel=0.01)
    assert paired_stderr(2.0, 0.0, 100) == pytest.approx(2 * 2**0.5 / 10)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.85])
def test_so_many_problems_make_a_difference_just_detectable(correlation: float) -> None:
    n = problems_needed(0.05, 0.5, correlation, 0.05)
    assert detectable(0.5, correlation, n, 0.05) <= 0.05 < detectable(0.5, correlation, n - 1, 0.05)


def test_a_detectable_difference_is_found_in_four_of_five_runs() -> None:
    generator = np.random.default_rng(1)
    error = paired_stderr(0.5, 0.6, 540)
    z = generator.normal(detectable(0.5, 0.6, 540, 0.05) / error, 1, 200_000)
    assert (np.abs(z) > 1.959964).mean() == pytest.approx(POWER, abs=0.005)
