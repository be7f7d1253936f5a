"""Sets of other layers, as pure functions."""

from itertools import combinations, islice
from math import comb

import numpy as np
import pytest

from sae_merge_method.controls import layer_sets
from sae_merge_method.controls.layer_sets import (
    depth_matched,
    every_nth,
    is_matched,
    mean_depth,
    random_sets,
    runs,
    spread_sets,
    windows,
)
from sae_merge_method.controls.unit_sets import highest
from sae_merge_method.layers import layers_of
from sae_merge_method.statistics.curves import excess


def test_random_sets_are_others_each_once_and_do_not_depend_on_how_many_are_asked_for():
    selected = (1, 3)
    everything = list(random_sets(5, selected))
    assert len(everything) == len(set(everything)) == comb(5, 2) - 1
    assert selected not in everything
    assert all(len(layers) == 2 and max(layers) < 5 for layers in everything)
    assert list(islice(random_sets(5, selected), 3)) == everything[:3]


def test_runs_are_unbroken_blocks():
    assert [runs(layers) for layers in [(), (3,), (3, 4, 5), (9, 11, 12, 13, 22), (0, 2, 4)]] == [
        0,
        1,
        1,
        3,
        3,
    ]


def test_the_first_sets_have_as_many_runs_at_about_the_same_depth():
    selected = (9, 11, 12, 13, 22, 30)
    first = list(islice(random_sets(34, selected), 20))
    assert {runs(layers) for layers in first} == {4}
    assert all(abs(mean_depth(layers) - mean_depth(selected)) <= 3.4 for layers in first)
    assert all(is_matched(34, selected, layers) for layers in first)


def test_a_block_is_held_against_the_nearest_blocks_then_against_farther_ones():
    block = tuple(range(14, 20))
    first = list(islice(random_sets(34, block), 20))
    away = [abs(mean_depth(layers) - mean_depth(block)) for layers in first]
    assert {runs(layers) for layers in first} == {1}
    assert sorted(away[:6]) == [1, 1, 2, 2, 3, 3] and sorted(away[6:12]) == [4, 4, 5, 5, 6, 6]
    assert first[:6] != sorted(first[:6])  # within a tenth of the model, at random


def test_sets_of_other_runs_come_when_no_more_of_the_same_are_left():
    everything = list(random_sets(8, (2, 3, 4)))
    assert [runs(layers) for layers in everything] == [1] * 5 + [2] * 30 + [3] * 20


def test_of_a_class_too_large_to_write_down_some_sets_are_drawn_each_once(monkeypatch):
    monkeypatch.setattr(layer_sets, "_POOL", 6)
    drawn = [layers for layers in random_sets(8, (2, 3, 4)) if runs(layers) == 2]
    assert len(set(drawn)) == len(drawn) == 6
    assert all(len(set(layers)) == 3 and max(layers) < 8 for layers in drawn)
    monkeypatch.undo()
    assert set(drawn) < set(random_sets(8, (2, 3, 4)))


@pytest.mark.parametrize(
    ("layers", "fits"),
    [((3, 4), True), ((6, 7), True), ((1, 3), False), ((11, 12), False), ((3, 4, 5), False), ((8, 9), False)],
)
def test_a_match_has_as_many_layers_in_as_many_runs_nearer_than_a_third_of_the_model(layers, fits):
    assert is_matched(18, (2, 3), layers) == fits


def cost(layers, selected):
    """What depth matching makes least."""
    return (
        len(set(layers) & set(selected)),
        abs(sum(layers) - sum(selected)),
        sum(abs(a - b) for a, b in zip(layers, selected, strict=True)),
        layers,
    )


@pytest.mark.parametrize("n_layers", [6, 9])
def test_depth_matched_layers_are_the_best_of_all_sets_by_brute_force(n_layers):
    for size in range(1, n_layers):
        for selected in combinations(range(n_layers), size):
            found = depth_matched(n_layers, selected)
            others = (layers for layers in combinations(range(n_layers), size) if layers != selected)
            assert cost(found, selected) == min(cost(layers, selected) for layers in others)


def test_depth_matching_of_a_real_models_size_is_disjoint_and_centred():
    selected = (9, 11, 12, 13, 22, 30)
    found = depth_matched(34, selected)
    assert not set(found) & set(selected)
    assert sum(found) == sum(selected)


def test_a_pick_by_an_unrelated_smooth_score_rarely_stands_out_of_its_sets_and_one_by_the_gain_often(
    monkeypatch,
):
    monkeypatch.setattr(layer_sets, "_POOL", 100)
    generator = np.random.default_rng(3)
    hits = {"unrelated": 0, "the gain itself": 0}
    for _ in range(60):
        profiles = generator.standard_normal((2, 30))
        for layer in range(1, 30):  # neighbours correlate at .9
            profiles[:, layer] = 0.9 * profiles[:, layer - 1] + (1 - 0.81) ** 0.5 * profiles[:, layer]
        gain = profiles[0]
        for name, score in zip(hits, profiles[::-1], strict=True):
            pick = layers_of(highest(dict(enumerate(score.tolist())), tuple(range(6))))
            sets = [one for one in islice(random_sets(30, pick), 20) if is_matched(30, pick, one)]
            value, *others = (float(gain[list(layers)].sum()) for layers in (pick, *sets))
            found = excess(value, others, 0.95)
            hits[name] += found.p is not None and found.p < 0.05
    assert hits["unrelated"] <= 0.12 * 60 and hits["the gain itself"] >= 0.4 * 60


@pytest.mark.parametrize("selected", [(1, 3), (1, 2), (0, 2, 4)])
def test_spread_sets_are_all_others_without_neighbours_each_once(selected):
    found = list(spread_sets(6, selected))
    size = len(selected)
    expected = {one for one in combinations(range(6), size) if runs(one) == size} - {selected}
    assert len(found) == len(expected) and set(found) == expected
    assert list(islice(spread_sets(6, selected), 2)) == found[:2]


AMONG = (1, 2, 3, 6, 8, 9)


@pytest.mark.parametrize("selected", [(1, 3), (4, 5), (2, 6, 9)])
def test_sets_among_some_layers_are_all_there_are_each_once(selected):
    size = len(selected)
    expected = set(combinations(AMONG, size)) - {selected}
    found = list(random_sets(12, selected, AMONG))
    assert len(found) == len(expected) and set(found) == expected
    assert runs(found[0], AMONG) == runs(selected, AMONG)
    apart = list(spread_sets(12, selected, AMONG))
    assert len(apart) == len(set(apart)) and set(apart) == {one for one in expected if runs(one) == size}
    twin = depth_matched(12, selected, lambda place, layer: layer in AMONG)
    assert cost(twin, selected) == min(cost(one, selected) for one in expected)


@pytest.mark.parametrize(
    ("selected", "wanted"),
    [((19, 23, 27, 31), 1), ((7, 11, 27, 31), 2), ((19, 20, 21, 22), 1), ((19, 22, 23, 26, 27), 1)],
)
def test_among_layers_with_gaps_the_first_sets_have_as_many_runs_there_as_the_selection(selected, wanted):
    among = range(3, 48, 4)
    first = list(islice(random_sets(48, selected, among), 8))
    assert len(first) == 8 and all(is_matched(48, selected, layers, among) for layers in first[:4])
    for layers in first:
        at = [among.index(layer) for layer in layers]
        assert runs(at) == runs(layers, among) == wanted == runs(selected, among)


def test_a_scattered_set_is_no_match_of_a_block_of_all_that_there_are():
    among, block, scattered = range(0, 36, 2), (12, 14, 16, 18), (6, 12, 18, 24)
    assert runs(block) == runs(scattered) == 4
    assert not is_matched(36, block, scattered, among) and is_matched(36, block, (14, 16, 18, 20), among)


def test_a_pick_among_layers_with_gaps_rarely_stands_out_of_its_sets_where_nothing_is_to_find():
    generator, among, pick = np.random.default_rng(0), range(0, 36, 2), (12, 14, 16, 18)
    sets = [one for one in islice(random_sets(36, pick, among), 20) if is_matched(36, pick, one, among)]
    apart = np.arange(36)[:, None] - np.arange(36)
    smooth = np.linalg.cholesky(np.exp(-(apart**2) / 32) + 1e-6 * np.eye(36))
    hits = 0
    for _ in range(300):
        gain = smooth @ generator.standard_normal(36)
        value, *others = (float(gain[list(layers)].sum()) for layers in (pick, *sets))
        found = excess(value, others, 0.95)
        assert found.p is not None
        hits += found.p < 0.05
    assert hits <= 0.08 * 300


def test_among_all_layers_the_sets_are_those_of_the_model():
    for draw in (random_sets, spread_sets):
        assert list(islice(draw(18, (2, 7, 8), range(18)), 30)) == list(islice(draw(18, (2, 7, 8)), 30))
    for size in range(8):
        assert all(runs(one) == runs(one, range(7)) for one in combinations(range(7), size))


def test_few_layers_of_a_deep_model_are_found_at_once():
    last, selected = range(60, 80), (64, 66, 67, 68, 70, 75, 77, 78)
    assert all(set(one) <= set(last) for one in islice(random_sets(80, selected, last), 20))
    apart = list(islice(spread_sets(80, selected, last), 20))
    assert all(set(one) <= set(last) and runs(one) == 8 for one in apart) and len(set(apart)) == 20


def test_where_too_few_layers_are_there_is_no_set():
    assert list(random_sets(9, (1, 3, 5), (1, 3))) == [] == list(spread_sets(9, (1, 3, 5), (1, 3)))
    assert depth_matched(9, (1, 3), lambda place, layer: layer in (1, 3)) is None


def test_a_model_that_is_not_deep_enough_has_no_spread_sets():
    assert list(spread_sets(4, (0, 1, 2))) == []


@pytest.mark.parametrize(
    ("n_layers", "n", "layers"),
    [(18, 3, tuple(range(1, 18, 3))), (4, 3, (1,)), (8, 2, (0, 2, 4, 6)), (8, 20, (3,)), (3, 1, (0, 1, 2))],
)
def test_every_nth_layer_lies_in_the_middle_of_the_model(n_layers, n, layers):
    assert every_nth(n_layers, n) == layers


def test_windows_cut_the_depth_into_blocks_of_about_a_size():
    assert windows(8, 3) == [(0, 1), (2, 3, 4), (5, 6, 7)]
    assert windows(2, 3) == [(0,), (1,)]
