"""Power of a paired comparison that is still to be made: by the exact test, by simulation, by its own inverse."""

import math

import numpy as np
import pytest

from sae_merge_method.statistics.differences import mcnemar
from sae_merge_method.statistics.flips import detectable_by_flips
from sae_merge_method.statistics.power import POWER, detectable, problems_needed


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.85])
def test_so_many_problems_make_a_difference_just_detectable(correlation: float) -> None:
    n = problems_needed(0.05, 0.5, correlation, 0.05)
    at, before = (detectable(0.5, correlation, count, 0.05) or math.inf for count in (n, n - 1))
    assert at <= 0.05 < before


@pytest.mark.parametrize("n", [200, 540, 5000])
@pytest.mark.parametrize(("share", "correlation"), [(0.5, 0.0), (0.3, 0.6), (0.5, 0.6), (0.5, 0.85)])
def test_what_is_detectable_is_what_mcnemars_test_detects_of_as_many_flips_either_way(
    share: float, correlation: float, n: int
) -> None:
    variance = share * (1 - share)
    either_way = round(n * variance * (1 - correlation) - 0.5)
    exact = detectable_by_flips(either_way, either_way, n, 0.05, POWER) or 0
    approximate = detectable(math.sqrt(variance), correlation, n, 0.05) or 0
    assert 0.99 * exact < approximate < (1.1 if n == 200 else 1.04) * exact


def test_a_detectable_difference_is_found_in_four_of_five_runs() -> None:
    size = detectable(math.sqrt(0.21), 0.6, 540, 0.05) or 0
    # Answers to one problem with this correlation, 30 % right before.
    both = 0.6 * math.sqrt(0.21 * (0.3 + size) * (0.7 - size)) + 0.3 * (0.3 + size)
    shares = [both, 0.3 + size - both, 0.3 - both, 1 - 0.6 - size + both]
    runs = np.random.default_rng(1).multinomial(540, shares, size=4000)
    found = np.mean([(mcnemar(int(right), int(wrong)).p or 1) < 0.05 for _, right, wrong, _ in runs])
    assert found == pytest.approx(POWER, abs=0.03)


def test_too_few_problems_can_show_no_difference() -> None:
    assert detectable(0.5, 0.6, 5, 0.05) is None
    # Answers that are each other's opposite: all of them flip already.
    assert detectable(0.5, -1.0, 1000, 0.05) is None


def test_less_is_detectable_with_more_problems_and_answers_that_move_together() -> None:
    def size(n: int = 540, correlation: float = 0.6, alpha: float = 0.05) -> float:
        return detectable(0.5, correlation, n, alpha) or math.inf

    assert size(5000) < size() < size(100)
    assert size(correlation=0.85) < size() < size(correlation=0.0)
    assert size(alpha=0.1) < size() < size(alpha=0.005)
    needed = [problems_needed(size, 0.5, 0.6, 0.05) for size in (0.02, 0.05, 0.2)]
    assert needed == sorted(needed, reverse=True)
