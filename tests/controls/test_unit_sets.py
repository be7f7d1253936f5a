"""Rivals of a selection that opens parts of layers, as pure functions."""

from collections import Counter
from itertools import islice

import pytest

from sae_merge_method.controls.layer_sets import random_sets
from sae_merge_method.controls.unit_sets import (
    Units,
    highest,
    is_matched,
    lowest,
    mean_depth,
    opens_parts,
    other_parts,
    reopened,
    twin,
)
from sae_merge_method.layers import layer_of, layers_of, parse_units, part_of_layer

EVERY = (*range(12), *parse_units("all.attn, all.mlp", 12))
"""All that a model of 12 layers can open."""


def units(text: str) -> Units:
    return parse_units(text)


def test_of_whole_layers_the_sets_are_those_of_layers():
    drawn = list(islice(random_sets(12, (3, 4, 8)), 30))
    assert list(reopened(drawn, (3, 4, 8), EVERY)) == drawn
    assert not opens_parts((3, 4)) and opens_parts(units("3, 4.mlp"))


def test_random_modules_are_other_layers_opened_in_the_same_ways():
    selected = units("3, 4.attn, 8.mlp")
    drawn = list(islice(reopened(random_sets(12, layers_of(selected)), selected, EVERY), 40))
    kinds = Counter(map(part_of_layer, selected))
    assert all(Counter(map(part_of_layer, one)) == kinds for one in drawn)
    assert all(layers_of(one) != layers_of(selected) for one in drawn) and len(set(drawn)) == 40
    orders = {tuple(map(part_of_layer, one)) for one in drawn}
    assert len(orders) == 6  # each order of whole, attention and MLP comes up
    assert drawn == list(islice(reopened(random_sets(12, layers_of(selected)), selected, EVERY), 40))
    assert all(is_matched(12, selected, one) for one in drawn[:20])


def test_a_layer_of_which_both_parts_are_open_is_one_layer():
    selected = units("3.attn, 3.mlp, 7")
    for one in islice(reopened(random_sets(12, layers_of(selected)), selected, EVERY), 10):
        assert len(layers_of(one)) == 2 and len(one) == 3
    assert mean_depth(selected) == 5


def test_sets_with_parts_that_the_model_lacks_are_passed_over():
    selected, there_are = units("3.attn"), units("1.attn, 3.attn, 5.attn")
    assert set(reopened(random_sets(12, (3,)), selected, there_are)) == {units("1.attn"), units("5.attn")}


def test_the_twin_at_the_same_depth_is_opened_in_the_same_order():
    selected = units("4.mlp, 6, 9.attn")
    found = twin(12, selected, EVERY)
    assert list(map(part_of_layer, found)) == ["mlp", None, "attn"]
    assert mean_depth(found) == pytest.approx(mean_depth(selected), abs=1 / 3)


def test_the_twin_is_opened_where_the_parts_are():
    selected = units("4.attn, 6.mlp")
    hybrid = {unit for unit in EVERY if part_of_layer(unit) != "attn" or layer_of(unit) in (1, 4, 9)}
    assert twin(12, selected, hybrid) == units("1.attn, 9.mlp")
    assert twin(12, selected, units("4.attn, 6.mlp, 3.mlp")) is None  # no other attention before an MLP


def test_other_parts_turn_attention_and_mlp_over_in_the_same_layers():
    assert other_parts(units("3.attn, 5, 7.mlp"), EVERY) == units("3.mlp, 5, 7.attn")
    assert other_parts(units("3.attn, 3.mlp"), EVERY) == ()
    assert other_parts(units("3.attn, 4.attn"), units("3.attn, 4.attn, 4.mlp")) == units("4.mlp")


def test_the_largest_of_each_kind_are_taken_and_ties_go_to_the_lower_layer():
    values = {0: 3.0, 1: 5.0, 2: 5.0, 3: 1.0} | dict(
        zip(units("0.attn, 0.mlp, 1.attn, 2.attn, 3.mlp"), (1.0, 4.0, 9.0, 2.0, 7.0), strict=True)
    )
    assert highest(values, (0, 3)) == (1, 2)
    assert lowest(values, (1, 2)) == (0, 3)
    assert highest(values, units("0.attn, 3.mlp")) == units("1.attn, 3.mlp")
    assert highest(values, units("0, 3.attn")) == units("1, 2.attn")  # 1.attn lies in a layer that is taken
    assert len(highest(values, units("0-3.mlp"))) == 2  # no more have a value


def test_ranked_sets_break_ties_towards_lower_layers():
    values = {0: 1.0, 1: 3.0, 2: 3.0, 3: 0.0, 4: 1.0}
    assert highest(values, (0, 1, 2)) == (0, 1, 2)
    assert lowest(values, (0, 1)) == (0, 3)


def test_a_rival_opens_as_many_of_each_kind():
    assert is_matched(12, units("3.attn, 4.attn"), units("5.attn, 6.attn"))
    assert not is_matched(12, units("3.attn, 4.attn"), units("5.attn, 6.mlp"))
    assert not is_matched(12, units("3.attn, 4.attn"), units("5.attn, 7.attn"))
    assert is_matched(12, units("3.attn, 5.attn"), units("5.attn, 7.attn"), among=(1, 3, 5, 7, 9))
    assert not is_matched(12, units("3.attn, 4.attn"), (5, 6))
