"""Layers that lie apart, and how many of a set are neighbours."""

import random
from itertools import combinations

import pytest

from sae_merge_method.errors import UsageError
from sae_merge_method.layers import LayerModule, layer_of, parse_units
from sae_merge_method.spacing import NO_NEIGHBOURS, Apart, adjacency, adjacent, highest_apart, read_apart


@pytest.mark.parametrize(
    ("layers", "neighbours"),
    [((), 0), ((3,), 0), ((1, 3, 5), 0), ((1, 2, 5), 2), ((0, 1, 2, 7, 8), 5), ((9, 8, 4), 2)],
)
def test_a_layer_with_a_neighbour_in_the_set_is_adjacent(layers, neighbours):
    assert adjacent(layers) == neighbours
    assert adjacency(layers) == f"{neighbours} of {len(layers)} adjacent"


@pytest.mark.parametrize(
    ("units", "neighbours"),
    [
        ("1.attn", 0),
        ("1.attn, 1.mlp", 2),
        ("1.attn, 2.mlp, 4.mlp", 2),
        ("1.attn, 3.attn", 0),
        ("1, 2.mlp", 2),
    ],
)
def test_neighbours_of_a_part_are_those_of_its_layer_and_the_other_part_of_it(units, neighbours):
    assert adjacent(parse_units(units)) == neighbours


@pytest.mark.parametrize("parts", [(), ("attn", "mlp")])
def test_layers_apart_are_the_best_of_all_such_sets(parts):
    draw = random.Random(0)
    every = [LayerModule(layer, part) for layer in range(7) for part in parts] or range(14)
    for _ in range(60):
        layers = draw.sample(every, 9)
        scores = {layer: draw.choice((-1.0, 0.5, 2.0)) + draw.random() for layer in layers}
        apart = Apart(draw.randint(1, 4), draw.randint(1, 4))
        sets = [
            one
            for one in combinations(sorted(layers), apart.size)
            if all(layer_of(high) - layer_of(low) >= apart.gap for low, high in combinations(one, 2))
        ]
        if not sets:
            with pytest.raises(UsageError, match="at most"):
                highest_apart(scores, apart, "rule")
            continue
        best = max(sets, key=lambda one: sum(scores[layer] for layer in one))
        assert highest_apart(scores, apart, "rule") == best


def test_the_highest_score_is_left_out_where_it_would_cost_more():
    assert highest_apart({0: 5.0, 1: 6.0, 2: 5.0, 3: 0.0}, Apart(2, 2), "spread=2") == (0, 2)


def test_layers_without_a_score_still_lie_between_others():
    assert highest_apart({0: 1.0, 3: 2.0, 4: 3.0, 9: 0.1}, Apart(3, 3), "top_k=3,gap=3") == (0, 4, 9)


def test_of_equal_sums_the_lower_layers_are_taken():
    assert highest_apart(dict.fromkeys(range(7), 1.0), Apart(3, 2), "spread=3") == (0, 2, 4)


@pytest.mark.parametrize("text", ["6", "6,gap=2", "6,gap=3"])
def test_a_count_and_a_gap_are_written_as_they_are_read(text):
    assert str(read_apart(text)) == text


@pytest.mark.parametrize(
    "text", ["6,fap=3", "6,hap=3", "6,3", "6,", "x", "0", "0,gap=2", "6,gap=0", "6,gap=x"]
)
def test_neither_a_count_nor_a_count_and_a_gap_is_told_what_it_must_be(text):
    with pytest.raises(ValueError, match="a whole number of at least 1"):
        read_apart(text)


def test_the_least_gap_without_neighbours_leaves_none_and_one_less_does():
    scores = dict.fromkeys(range(6), 1.0)
    assert adjacent(highest_apart(scores, Apart(3, NO_NEIGHBOURS), "rule")) == 0
    assert adjacent(highest_apart(scores, Apart(3, NO_NEIGHBOURS - 1), "rule")) == 3


def test_too_many_layers_so_far_apart_are_refused_with_the_number_that_there_are():
    with pytest.raises(
        UsageError, match="spread=4 asks for 4 layers, any two at least 2 apart: of the 5 .* 3 are"
    ):
        highest_apart(dict.fromkeys(range(5), 1.0), Apart(4, 2), "spread=4")


def test_a_gap_of_one_is_no_gap():
    assert read_apart("4, gap = 1") == Apart(4)
    assert str(Apart(4, 1)) == "4"
