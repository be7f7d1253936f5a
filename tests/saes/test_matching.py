"""Other features like the selected ones: as many, none of them, near in what they are matched by."""

import numpy as np
import pytest

from sae_merge_method.saes.matching import draw_alike, firing_rates
from tests.geometry.scenes import D_SAE, usage


def test_the_firing_rate_is_over_all_counted_tokens() -> None:
    rates = firing_rates(usage(1))
    # 5 of 10 tokens of each document that uses it: odd features in all six, even ones in the three targets.
    assert rates == pytest.approx([0.5 if feature % 2 else 0.25 for feature in range(D_SAE)])


def test_draws_are_as_many_others_near_the_selected_ones() -> None:
    measure = np.arange(1000.0)
    selected = (10, 11, 12, 500, 990)
    for seed in range(20):
        drawn = draw_alike(measure, selected, np.random.default_rng(seed))
        assert drawn is not None
        assert len(set(drawn)) == 5 and not set(drawn) & set(selected)
        assert all(min(abs(feature - one) for one in selected) <= 20 for feature in drawn)
        assert sum(feature < 100 for feature in drawn) == 3


def test_the_same_seed_draws_the_same_and_another_others() -> None:
    measure = np.zeros(200)  # nobody ever fires: all are as near
    draws = [draw_alike(measure, (1, 2, 3), np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    everyone = {
        feature
        for seed in range(100)
        for feature in draw_alike(measure, (1, 2, 3), np.random.default_rng(seed)) or ()
    }
    assert len(everyone) > 100


def test_where_all_others_are_needed_all_are_taken_and_where_they_do_not_suffice_none() -> None:
    measure = np.arange(8.0)
    generator = np.random.default_rng(0)
    assert set(draw_alike(measure, (0, 1, 2, 3), generator) or ()) == {4, 5, 6, 7}
    assert draw_alike(measure, (0, 1, 2, 3, 4), generator) is None
