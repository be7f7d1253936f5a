"""Where the pick stands, and whether the score predicts."""

from dataclasses import replace
from pathlib import Path

import pytest

from sae_merge_method.experiment.report.standing import rank_among
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


def test_single_layers_are_set_against_their_own_scores(tmp_path: Path) -> None:
    layers = [Laid(f"layer-{layer}", (20 + layer, 10), (layer,)) for layer in range(8)]
    found = collected(tmp_path, [BASE, PICK, *layers]).single_layers
    assert found is not None
    assert (found.layers, found.rho) == (8, pytest.approx(1))
    worse = [replace(arm, right=(20 - arm.layers[0], 10)) for arm in layers]
    turned = collected(tmp_path / "worse", [BASE, PICK, *worse]).single_layers
    assert turned is not None and turned.rho == pytest.approx(-1)
