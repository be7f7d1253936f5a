"""Claims on many arms: where the pick stands, and whether the score predicts."""

from dataclasses import replace
from pathlib import Path

import pytest

from sae_merge_method.experiment.report.standing import rank_among
from tests.experiment.report.folders import (
    BASE,
    NATS,
    PICK,
    Laid,
    collected,
    concluded,
    harmed,
    sets_of_layers,
)

RANDOM = "beat random layers"
PER_DAMAGE = "per damage"
PREDICTS = "score predicts"


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


@pytest.mark.parametrize(
    ("others", "answer", "rank"),
    [
        ([30] * 24, "yes", "rank 1 of 25, one-sided p 0.0400"),
        ([30] * 12 + [60] * 12, "not shown", "rank 13 of 25, one-sided p 0.5200"),
        ([60] * 24, "no", "rank 25 of 25, one-sided p 1.0000"),
        ([50] * 24, "not shown", "rank 25 of 25, one-sided p 1.0000"),
        ([30] * 4, "not tested", "rank 1 of 5, one-sided p 0.2000"),
    ],
)
def test_the_pick_among_random_layers(tmp_path: Path, others: list[int], answer: str, rank: str) -> None:
    # 50 and 10 right is what the pick has too: as good is not worse.
    pick = replace(PICK, right=(50, 10))
    found = concluded(tmp_path, [BASE, pick, *sets_of_layers(others)], RANDOM)
    assert found.answer == answer
    assert found.evidence.startswith(rank)


def test_gain_for_the_same_damage(tmp_path: Path) -> None:
    sets = [harmed(arm, 4) for arm in sets_of_layers([45] * 24)]
    base, pick = replace(BASE, nats=NATS), harmed(PICK, 1)
    assert concluded(tmp_path / "less", [base, pick, *sets], PER_DAMAGE).answer == "yes"
    assert concluded(tmp_path / "more", [base, harmed(PICK, 9), *sets], PER_DAMAGE).answer == "no"
    # Sets that gain at no measurable cost are better than any ratio.
    free = [replace(arm, nats=NATS) for arm in sets]
    assert concluded(tmp_path / "free", [base, pick, *free], PER_DAMAGE).answer == "no"


@pytest.mark.parametrize("moved", [(0, 0, 0, 0), (1, -1, 0.5, -0.4), (-1, -2, -1, -2)])
def test_without_measurable_damage_there_is_nothing_to_divide_by(
    tmp_path: Path, moved: tuple[float, ...]
) -> None:
    pick = replace(PICK, nats=[before + change for before, change in zip(NATS, moved, strict=True)])
    sets = [harmed(arm, 4) for arm in sets_of_layers([45] * 24)]
    found = concluded(tmp_path, [replace(BASE, nats=NATS), pick, *sets], PER_DAMAGE)
    assert found.answer == "not tested"
    assert found.evidence.startswith("the pick does no measurable damage")


@pytest.mark.parametrize(("slope", "answer"), [(2, "yes"), (-2, "no"), (0, "not tested")])
def test_the_score_and_what_single_layers_gain(tmp_path: Path, slope: int, answer: str) -> None:
    layers = [Laid(f"layer-{layer}", (30 + slope * layer, 10), (layer,)) for layer in range(8)]
    assert concluded(tmp_path, [BASE, PICK, *layers], PREDICTS).answer == answer


def test_four_layers_are_too_few_for_any_order_to_be_significant(tmp_path: Path) -> None:
    layers = [Laid(f"layer-{layer}", (30 + 2 * layer, 10), (layer,)) for layer in range(4)]
    found = concluded(tmp_path, [BASE, PICK, *layers], PREDICTS)
    assert found.answer == "not tested"
    assert found.evidence.endswith("with so few p cannot fall below 0.0833")


def test_without_single_layers_the_score_is_not_tested(tmp_path: Path) -> None:
    assert "--single-layers" in concluded(tmp_path, [BASE, PICK], PREDICTS).evidence
