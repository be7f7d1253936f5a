"""Permutation p-values and rank correlation, by hand and against scipy."""

import math
import random

import numpy as np
import pytest
from scipy import stats

from sae_merge_method.statistics.permutation import rank_correlation, upper_tail


def test_the_value_itself_is_one_of_the_draws_so_p_is_never_0() -> None:
    assert upper_tail(5, [1, 2, 3]) == (0, 3, 1 / 4)
    assert upper_tail(2, [1, 2, 3]) == (2, 3, 3 / 4)
    assert upper_tail(2, []) == (0, 0, 1.0)
    assert upper_tail(1, [float("inf"), float("-inf")]).at_least == 1


def test_a_draw_that_differs_by_rounding_alone_is_as_large() -> None:
    value = 0.1 + 0.2
    assert value > 0.3
    assert upper_tail(value, [0.3]).at_least == 1
    assert upper_tail(-0.3, [-value]).at_least == 1
    assert upper_tail(value, [0.299]).at_least == 0


@pytest.mark.parametrize("n", [3, 5, 6])
def test_rho_and_exact_p_are_scipys(n: int) -> None:
    rng = random.Random(n)
    for _ in range(5):
        one, other = ([float(rng.randint(0, 4)) for _ in range(n)] for _ in range(2))
        if len(set(one)) == 1 or len(set(other)) == 1:
            continue
        correlation = rank_correlation(one, other)

        def rho(drawn: np.ndarray, fixed: list[float] = other) -> float:
            return float(stats.spearmanr(drawn, fixed).statistic)

        expected = stats.permutation_test((one,), rho, permutation_type="pairings", n_resamples=np.inf)
        assert correlation is not None
        assert correlation.n == n
        assert correlation.rho == pytest.approx(stats.spearmanr(one, other).statistic)
        assert correlation.p == pytest.approx(expected.pvalue)


def test_eight_layers_in_perfect_order_have_an_exact_p() -> None:
    correlation = rank_correlation(range(8), [x**3 for x in range(8)])
    assert correlation is not None
    assert correlation.rho == pytest.approx(1)
    assert correlation.p == pytest.approx(2 / math.factorial(8))


def test_many_layers_are_permuted_at_random_and_always_the_same() -> None:
    rng = random.Random(1)
    one = [rng.random() for _ in range(34)]
    other = [x + 2 * rng.random() for x in one]
    correlation = rank_correlation(one, other)
    assert correlation is not None and correlation.p is not None
    assert correlation == rank_correlation(one, other)
    assert correlation.p == pytest.approx(stats.spearmanr(one, other).pvalue, abs=0.01)


def test_nine_layers_in_perfect_order_count_themselves_among_the_draws() -> None:
    correlation = rank_correlation(range(40), range(40))
    assert correlation is not None
    assert correlation.p == 2 / 50_000


def test_the_correlation_turns_with_either_side_and_does_not_see_scale() -> None:
    one, other = [1.0, 4.0, 2.0, 8.0, 3.0], [2.0, 3.0, 1.0, 9.0, 5.0]
    there, turned = rank_correlation(one, other), rank_correlation(one, [-7 * x for x in other])
    assert there is not None and turned is not None and there.rho is not None and turned.rho is not None
    assert (turned.rho, turned.p) == (pytest.approx(-there.rho), pytest.approx(there.p))


def test_there_is_no_rho_where_a_side_does_not_vary_and_none_at_all_for_two_layers() -> None:
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == (3, None, None)
    assert rank_correlation([1, 2, 3], [2, 2, 2]) == (3, None, None)
    assert rank_correlation([1, 2], [1, 2]) is None
