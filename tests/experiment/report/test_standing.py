"""Claims on many arms: where the pick stands among the sets that are matched with it."""

from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from sae_merge_method.experiment.report.standing import rank_among
from sae_merge_method.layers import parse_units
from tests.experiment.report.folders import (
    BASE,
    MANY,
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
SPREAD = [28, 30, 32, 30] * 6
"""Right answers of 24 sets of layers."""


def test_who_is_as_good_counts_as_better() -> None:
    ranked = rank_among(3, [1, 3, 5])
    assert ranked is not None
    assert (ranked.rank, ranked.better, ranked.others) == (3, 2, 3)
    assert rank_among(3, []) is None


def test_a_set_of_layers_counts_once_and_only_if_it_is_matched(tmp_path: Path) -> None:
    drawn = sets_of_layers([40, 30, 30])
    again = Laid("random-layers-3", (90, 40), drawn[0].layers)
    scattered = Laid("random-layers-4", (90, 40), (2, 4))
    far = Laid("random-layers-5", (90, 40), (70, 71))
    larger = Laid("random-layers-6", (90, 40), (1, 2, 3))
    arms = [BASE, PICK, *drawn, again, scattered, far, larger]
    sets = collected(tmp_path, arms, n_layers=MANY).matched_sets
    assert sets is not None
    assert (sets.rank, sets.others, sets.rank_p) == (1, 3, 1 / 4)
    assert sets.farthest == max(abs(sum(arm.layers) / 2 - 2.5) for arm in drawn)


def test_a_pick_of_modules_is_held_against_as_many_of_each_kind(tmp_path: Path) -> None:
    pick = replace(PICK, layers=parse_units("2.attn, 3.mlp"))
    sets = [replace(one, layers=parse_units(f"{nth + 10}.mlp, {nth + 11}.attn"))
            for nth, one in enumerate(sets_of_layers([40, 30, 30]))]  # fmt: skip
    whole = Laid("random-layers-3", (90, 40), (10, 11))
    one_kind = Laid("random-layers-4", (90, 40), parse_units("10-11.attn"))
    found = collected(tmp_path, [BASE, pick, *sets, whole, one_kind], n_layers=MANY)
    assert found.matched_sets is not None
    assert (found.matched_sets.rank, found.matched_sets.others) == (1, 3)


def test_over_a_donor_with_gaps_runs_are_counted_among_the_layers_that_it_changes(tmp_path: Path) -> None:
    among = tuple(range(0, MANY, 2))
    pick = replace(PICK, layers=(2, 4))
    sets = [
        Laid(f"random-layers-{nth}", (right, 10), (2 * nth + 4, 2 * nth + 6))
        for nth, right in enumerate([28, 30, 32, 30, 29])
    ]
    scattered = Laid("random-layers-5", (90, 40), (2, 8))
    known = {"layers": (2, 4), "n_layers": MANY, "among": among}
    experiment = collected(tmp_path / "gaps", [BASE, pick, *sets, scattered], **known)
    assert experiment.matched_sets is not None and experiment.among == among
    assert (experiment.matched_sets.rank, experiment.matched_sets.others) == (1, 5)
    told = next(one.evidence for one in experiment.conclusions if RANDOM in one.claim)
    assert "5 random sets of as many runs among the layers that the donor changes, their mean" in told
    none = concluded(tmp_path / "none", [BASE, pick, scattered], RANDOM, **known)
    assert none.answer == "not tested"
    assert none.evidence.endswith(
        "in as many runs among the layers that the donor changes at about the same depth"
    )


def test_runs_of_parts_are_counted_among_the_layers_that_have_such_parts(tmp_path: Path) -> None:
    pick = replace(PICK, layers=parse_units("3.attn, 7.attn"))
    sets = [
        Laid(f"random-layers-{nth}", (30 + nth, 10), parse_units(f"{4 * nth + 7}.attn, {4 * nth + 11}.attn"))
        for nth in range(5)
    ]
    known = {"layers": pick.layers, "n_layers": MANY, "among": tuple(range(3, MANY, 4))}
    told = concluded(tmp_path, [BASE, pick, *sets], RANDOM, **known).evidence
    assert "5 random sets of as many runs among the layers with such parts that the donor changes" in told


def test_chosen_controls_and_unmatched_sets_are_only_among_all(tmp_path: Path) -> None:
    chosen = Laid("depth-matched", (90, 40), (6, 7))
    own = Laid("largest-task-vector", PICK.right, PICK.layers)
    arms = [BASE, PICK, *sets_of_layers([30, 30]), chosen, own, Laid("random-layers-2", (20, 10), (0, 5))]
    experiment = collected(tmp_path, arms, n_layers=MANY)
    assert experiment.matched_sets is not None and experiment.among_all is not None
    assert (experiment.matched_sets.rank, experiment.matched_sets.others) == (1, 2)
    assert (experiment.among_all.rank, experiment.among_all.others) == (2, 4)


def test_the_effect_is_the_pick_less_the_mean_of_its_matched_sets(tmp_path: Path) -> None:
    sets = collected(tmp_path, [BASE, PICK, *sets_of_layers(SPREAD)], n_layers=MANY).matched_sets
    assert sets is not None and sets.low is not None and sets.high is not None
    assert sets.mean == pytest.approx(10 / 150)
    assert sets.excess == pytest.approx(20 / 150)
    assert (sets.low + sets.high) / 2 == pytest.approx(sets.excess)
    spread = stats.tstd([right / 150 for right in SPREAD]) * (1 + 1 / 24) ** 0.5
    assert sets.p == pytest.approx(2 * stats.t.sf(sets.excess / spread, 23))


@pytest.mark.parametrize(
    ("shift", "answer", "rank"),
    [(0, "yes", "rank 1 of 25"), (20, "not shown", "rank 7 of 25"), (40, "no", "rank 25 of 25")],
)
def test_the_pick_among_random_layers(tmp_path: Path, shift: int, answer: str, rank: str) -> None:
    others = sets_of_layers([right + shift for right in SPREAD])
    pick = replace(PICK, right=(51, 10))
    conclusion = concluded(tmp_path, [BASE, pick, *others], RANDOM, n_layers=MANY)
    assert conclusion.answer == answer
    assert conclusion.evidence.startswith("t ")
    assert "over the mean of 24 random sets of as many runs of layers" in conclusion.evidence
    assert rank in conclusion.evidence


@pytest.mark.parametrize(("right", "answer"), [(50, "yes"), (30, "not tested"), (20, "no")])
def test_where_all_sets_gained_alike_the_rank_decides(tmp_path: Path, right: int, answer: str) -> None:
    arms = [BASE, replace(PICK, right=(right, 10)), *sets_of_layers([30] * 24)]
    conclusion = concluded(tmp_path, arms, RANDOM, n_layers=MANY, alpha=0.2)
    assert conclusion.answer == answer
    assert "all gained alike" in conclusion.evidence
    assert conclusion.p == (None if answer == "not tested" else 1 / 25)


def test_too_few_sets_that_gained_alike_cannot_show_anything(tmp_path: Path) -> None:
    conclusion = concluded(tmp_path, [BASE, PICK, *sets_of_layers([30] * 8)], RANDOM, n_layers=MANY)
    assert (conclusion.answer, conclusion.p) == ("not tested", None)
    assert conclusion.evidence.endswith("cannot be shown with so few: no p is below 0.1111")


def test_four_sets_are_too_few_to_test_and_unmatched_ones_are_none(tmp_path: Path) -> None:
    few = concluded(tmp_path / "few", [BASE, PICK, *sets_of_layers(SPREAD[:4])], RANDOM, n_layers=MANY)
    assert (few.answer, few.p) == ("not tested", None)
    assert "fewer than 5" in few.evidence and "rank 1 of 5" in few.evidence
    none = concluded(tmp_path / "none", [BASE, PICK, Laid("random-layers-0", (9, 9), (2, 4))], RANDOM)
    assert (none.answer, "there are no arms with random layers" in none.evidence) == ("not tested", True)


def test_gain_for_the_same_damage(tmp_path: Path) -> None:
    sets = [harmed(arm, 4) for arm in sets_of_layers([right + 15 for right in SPREAD])]
    base, pick = replace(BASE, nats=NATS), harmed(PICK, 1)

    def answer(name: str, *arms: Laid) -> str:
        return concluded(tmp_path / name, [base, *arms], PER_DAMAGE, n_layers=MANY).answer

    assert answer("less", pick, *sets) == "yes"
    assert answer("more", harmed(PICK, 90), *sets) == "no"


def test_damage_below_the_margin_counts_as_the_margin_for_pick_and_sets_alike(tmp_path: Path) -> None:
    def at(by: float) -> list[float]:
        return [nats + by * (1 + 0.1 * (i % 3)) for i, nats in enumerate(NATS)]

    base = replace(BASE, nats=NATS)
    sets = sets_of_layers(SPREAD)
    found = {}
    for name, pick_by, sets_by in (("none", 0.0, 0.2), ("hardly", 0.05, 0.2), ("better", -3.0, 0.2)):
        arms = [base, replace(PICK, nats=at(pick_by)), *(replace(arm, nats=at(sets_by)) for arm in sets)]
        found[name] = concluded(tmp_path / name, arms, PER_DAMAGE, n_layers=MANY)
    assert {one.answer for one in found.values()} == {"yes"}
    assert len({one.p for one in found.values()}) == 1
    # Turned round: the sets do next to nothing, whichever way, and the pick is as far behind.
    turned = []
    for name, by in (("no", 0.0), ("little", 0.05), ("gains", -3.0)):
        arms = [base, replace(PICK, nats=at(4)), *(replace(arm, nats=at(by)) for arm in sets)]
        turned.append(concluded(tmp_path / name, arms, PER_DAMAGE, n_layers=MANY).p)
    assert len(set(turned)) == 1


def test_where_nobody_does_damage_there_is_nothing_to_ask(tmp_path: Path) -> None:
    sets = [replace(arm, nats=NATS) for arm in sets_of_layers(SPREAD)]
    arms = [replace(BASE, nats=NATS), replace(PICK, nats=NATS), *sets]
    conclusion = concluded(tmp_path, arms, PER_DAMAGE, n_layers=MANY)
    assert conclusion.answer == "not tested"
    assert conclusion.evidence.startswith("neither the pick nor any matched set does more damage")


def test_a_set_whose_damage_is_not_known_tests_nothing(tmp_path: Path) -> None:
    arms = [replace(BASE, nats=NATS), harmed(PICK, 1), *sets_of_layers(SPREAD)]
    assert "is not known" in concluded(tmp_path, arms, PER_DAMAGE, n_layers=MANY).evidence
