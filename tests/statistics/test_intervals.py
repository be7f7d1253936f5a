import numpy as np
import pytest

from sae_merge_method.statistics.intervals import basic_bootstrap


def test_the_basic_interval_is_reflected_about_the_observed_value() -> None:
    interval = basic_bootstrap(1.2, np.linspace(1.3, 2.3, 1001), level=0.95)
    assert (interval.low, interval.high) == pytest.approx((2.4 - 2.275, 2.4 - 1.325))
    assert interval.estimate == pytest.approx(0.6)


def test_the_basic_interval_is_that_of_scipy() -> None:
    from scipy.stats import bootstrap

    sample = np.random.default_rng(0).exponential(size=40)
    reference = bootstrap(
        (sample,), np.mean, n_resamples=500, confidence_level=0.9, method="basic", random_state=0
    )
    interval = basic_bootstrap(float(sample.mean()), reference.bootstrap_distribution, level=0.9)
    assert interval[:2] == pytest.approx(tuple(reference.confidence_interval))
