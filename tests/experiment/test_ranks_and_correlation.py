"""Where the pick stands, and whether the score predicts: by hand, and against scipy."""

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from sae_merge_method.experiment.report.ranks import rank_among
from sae_merge_method.statistics.permutation import rank_correlation
from tests.experiment.folders import BASE, PICK, Laid, collected, sets_of_layers


def test_who_is_as_good_counts_as_better() -> None:
    found = rank_among(3, [1, 3, 5])
    assert found is not None
    assert (found.rank, found.better, found.others, found.p) == (3, 2, 3, 3 / 4)


def test_there_is_no_rank_among_none() -> None:
    assert rank_among(3, []) is None


def test_the_best_of_all_has_the_smallest_p_there_is() -> None:
    found = rank_among(1, [0] * 55)
    assert found is not None and found.p == 1 / 56


def test_a_set_of_layers_counts_once_and_only_if_it_is_as_large(tmp_path: Path) -> None:
    drawn = sets_of_layers([40, 30, 30])
    twin = Laid("depth-matched", (90, 40), drawn[0].layers)
    own = Laid("largest-task-vector", PICK.right, PICK.layers)
    larger = Laid("lowest-specificity", (90, 40), (0, 1, 2))
    found = collected(tmp_path, [BASE, PICK, *drawn, twin, own, larger])
    assert found.among_random is not None and found.among_all is not None
    assert (found.among_random.rank, found.among_random.others) == (1, 3)
    assert found.among_all == found.among_random


def test_chosen_controls_are_only_among_all(tmp_path: Path) -> None:
    other = Laid("depth-matched", (90, 40), (6, 7))
    found = collected(tmp_path, [BASE, PICK, *sets_of_layers([30, 30]), other])
    assert found.among_random is not None and found.among_all is not None
    assert (found.among_random.rank, found.among_random.others) == (1, 2)
    assert (found.among_all.rank, found.among_all.others) == (2, 3)


@pytest.mark.parametrize("n", [3, 5, 6])
def test_rho_and_exact_p_are_scipys(n: int) -> None:
    rng = random.Random(n)
    for _ in range(5):
        one, other = ([float(rng.randint(0, 4)) for _ in range(n)] for _ in range(2))
        if len(set(one)) == 1 or len(set(other)) == 1:
            continue
        found = rank_correlation(one, other)

        def rho(drawn: np.ndarray, fixed: list[float] = other) -> float:
            return float(stats.spearmanr(drawn, fixed).statistic)

        expected = stats.permutation_test((one,), rho, permutation_type="pairings", n_resamples=np.inf)
        assert found is not None
        assert found.rho == pytest.approx(stats.spearmanr(one, other).statistic)
        assert found.p == pytest.approx(expected.pvalue)


def test_eight_layers_in_perfect_order_have_an_exact_p() -> None:
    found = rank_correlation(range(8), [x**3 for x in range(8)])
    assert found is not None
    assert found.rho == pytest.approx(1)
    assert found.p == pytest.approx(2 / math.factorial(8))


def test_many_layers_are_permuted_at_random_and_always_the_same() -> None:
    rng = random.Random(1)
    one = [rng.random() for _ in range(34)]
    other = [x + 2 * rng.random() for x in one]
    found = rank_correlation(one, other)
    assert found is not None and found.p is not None
    assert found == rank_correlation(one, other)
    assert found.p == pytest.approx(stats.spearmanr(one, other).pvalue, abs=0.01)


def test_the_correlation_turns_with_either_side_and_does_not_see_scale() -> None:
    one, other = [1.0, 4.0, 2.0, 8.0, 3.0], [2.0, 3.0, 1.0, 9.0, 5.0]
    found, turned = rank_correlation(one, other), rank_correlation(one, [-7 * x for x in other])
    assert found is not None and turned is not None and found.rho is not None and turned.rho is not None
    assert (turned.rho, turned.p) == (pytest.approx(-found.rho), pytest.approx(found.p))


def test_there_is_no_rho_where_a_side_does_not_vary_and_none_at_all_for_two_layers() -> None:
    found = rank_correlation([1, 1, 1], [1, 2, 3])
    assert found is not None and found.rho is None and found.p is None
    assert rank_correlation([1, 2], [1, 2]) is None


def test_single_layers_are_set_against_their_own_scores(tmp_path: Path) -> None:
    layers = [Laid(f"layer-{layer}", (20 + layer, 10), (layer,)) for layer in range(8)]
    found = collected(tmp_path, [BASE, PICK, *layers]).single_layers
    assert found is not None
    assert (found.layers, found.rho) == (8, pytest.approx(1))
    worse = [replace(arm, right=(20 - arm.layers[0], 10)) for arm in layers]
    turned = collected(tmp_path / "worse", [BASE, PICK, *worse]).single_layers
    assert turned is not None and turned.rho == pytest.approx(-1)
