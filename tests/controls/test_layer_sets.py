"""Sets of other layers, as pure functions."""

from itertools import combinations, islice
from math import comb

import pytest

from sae_merge_method.controls.layer_sets import depth_matched, highest, lowest, random_sets


def test_random_sets_are_others_each_once_and_do_not_depend_on_how_many_are_asked_for():
    selected = (1, 3)
    everything = list(random_sets(5, selected))
    assert len(everything) == len(set(everything)) == comb(5, 2) - 1
    assert selected not in everything
    assert all(len(layers) == 2 and max(layers) < 5 for layers in everything)
    assert list(islice(random_sets(5, selected), 3)) == everything[:3]


@pytest.mark.parametrize("n_layers", [6, 9])
def test_depth_matched_layers_are_the_best_of_all_sets_by_brute_force(n_layers):
    for size in range(1, n_layers):
        for selected in combinations(range(n_layers), size):
            found = depth_matched(n_layers, selected)

            def cost(layers, selected=selected):
                return (
                    len(set(layers) & set(selected)),
                    abs(sum(layers) - sum(selected)),
                    sum(abs(a - b) for a, b in zip(layers, selected, strict=True)),
                    layers,
                )

            others = (layers for layers in combinations(range(n_layers), size) if layers != selected)
            assert cost(found) == min(map(cost, others))


def test_depth_matching_of_a_real_models_size_is_disjoint_and_centred():
    selected = (9, 11, 12, 13, 22, 30)
    found = depth_matched(34, selected)
    assert not set(found) & set(selected)
    assert sum(found) == sum(selected)


def test_ranked_sets_break_ties_towards_lower_layers():
    values = {0: 1.0, 1: 3.0, 2: 3.0, 3: 0.0, 4: 1.0}
    assert highest(values, 3) == (0, 1, 2)
    assert lowest(values, 2) == (0, 3)
