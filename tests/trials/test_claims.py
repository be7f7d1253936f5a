"""How many donors stand behind each figure of the trial's sentences, in the singular where it is one."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from trials.experiments import OWN_SCORE
from trials.report.arms import KindFigures
from trials.report.claims import statements
from trials.report.conditions import missing_sentence
from trials.report.words import counted


def kind(name: str, donors: int, excess: int = 0, in_loss: int = 0) -> KindFigures:
    """One kind of arm; beside the curve its place is told for so many donors, in points and in loss."""
    return KindFigures(
        kind=name,
        donors=donors,
        layers=2.0,
        gain=0.1,
        damage=0.1,
        near=0.1,
        nats_gained=0.2,
        by_donor={str(number): (0.1, 0.2) for number in range(donors)},
        excess=(0.05,) * excess,
        stands={"above": 1} if excess else {},
        excess_nats=(0.01,) * in_loss,
        stands_in_loss={"above": 1} if in_loss else {},
    )


def said(*kinds: KindFigures, gains: Mapping[str, Any] | None = None) -> str:
    return " ".join(one.text for one in statements(gains or {}, {}, kinds, []))


@pytest.mark.parametrize(
    ("excess", "in_loss", "words"),
    [
        (3, 3, "in the mean over 3 donors: shown above for 1, below for 0. In answer loss they lie +0.010 nats "
         "a token beside it (above for 1, below for 0)."),
        (3, 2, "beside it over 2 donors (above for 1"),
        (2, 1, "beside it over 1 donor (above for 1"),
        (1, 1, "in the mean over 1 donor: shown"),
        (2, 0, "In answer loss they lie nowhere that could be told."),
    ],
)  # fmt: skip
def test_beside_the_curve_points_and_loss_each_say_over_how_many_donors(
    excess: int, in_loss: int, words: str
) -> None:
    text = said(kind("stethoscope", 3, excess, in_loss), kind("all-layers", 3))
    assert words in text and "1 donors" not in text


def test_where_no_place_is_told_in_points_that_is_not_called_harmless() -> None:
    pick = kind("stethoscope", 2, 0, 1)._replace(stands={"not tested": 2})
    text = said(pick, kind("all-layers", 2))
    assert "No donor is shown to harm" not in text
    assert "cannot be held against all layers damped to the same damage, for 2 donors." in text
    assert "beside it over 1 donor (above" in text
    flat = said(kind("stethoscope", 1), kind("all-layers", 1))
    assert "No donor is shown to harm" in flat and "(of 1 donor)" in flat


@pytest.mark.parametrize(("donors", "words"), [(1, "(of 1 donor;"), (2, "(means over 2 donors;")])
def test_pairs_of_arms_say_over_how_many_donors_both_are_known(donors: int, words: str) -> None:
    text = said(kind("stethoscope", donors), kind("random-layers", donors), kind("scalpel", donors))
    assert words in text
    have = "of 1 donor that has both" if donors == 1 else "over 2 donors that have both"
    assert have in text


def test_a_mean_of_ranks_says_over_how_many_donors_where_some_have_none() -> None:
    def ranked(rho: float | None) -> Any:
        return SimpleNamespace(rho=rho, is_shown=False)

    some = {OWN_SCORE: {"a": ranked(0.5), "b": ranked(None)}}
    text = said(gains=some)
    assert text.count("in the mean over 1 donor") == 2 and text.count("0 of 2 donors.") == 2
    alone = said(gains={OWN_SCORE: {"a": ranked(0.5)}})
    assert "in the mean (" in alone and alone.count("0 of 1 donor.") == 2


@pytest.mark.parametrize(("untimed", "words"), [(1, "For 1 command no time"), (2, "For 2 commands no time")])
def test_commands_without_a_time_are_counted_in_words_that_fit(untimed: int, words: str) -> None:
    run: Any = SimpleNamespace(
        donor="sums-0", attribution=1, experiment=SimpleNamespace(missing=("one",)), tune=1
    )
    timed = [SimpleNamespace(name=stage, stage=stage) for stage in ("attribute", "tune")]
    findings: Any = SimpleNamespace(runs=[run], timings=timed[: 3 - untimed])
    text = missing_sentence(findings)
    assert words in text and "1 arm of sums-0" in text


@pytest.mark.parametrize("number, words", [(1, "1 donor"), (0, "0 donors"), (1234, "1,234 donors")])
def test_one_is_the_only_number_in_the_singular(number: int, words: str) -> None:
    assert counted(number, "donor") == words
