"""An attribution in short: which layers carry the donor's gain and damage, and what an edit's layers have of it."""

from sae_merge_method.artifacts.attribution_summary import (
    AttributionSummary,
    CarriedByLayer,
    CarriedOfText,
)
from sae_merge_method.reports.grid import as_text
from sae_merge_method.verdict_tables.attributed import carried_grid


def summary(*, told: bool = True) -> AttributionSummary:
    return AttributionSummary(
        donor="./donor",
        target=CarriedOfText(name="maths", amount=1.6, told=told),
        controls=(CarriedOfText(name="prose", amount=0.1, told=True),),
        layers=(
            CarriedByLayer(layer=0, gain=0.4, share=0.25 if told else None, damage=(0.08,)),
            CarriedByLayer(layer=1, gain=1.2, share=0.75 if told else None, damage=(0.02,)),
        ),
    )


def test_the_layers_with_most_of_gain_and_damage_are_named_with_their_share():
    assert summary().sentences() == [
        "Of the donor's gain of 1.6000 nats a token on maths, layer 1 carries 75.0%.",
        "Of the donor's damage of 0.1000 nats a token on prose, layer 0 carries 80.0%.",
    ]


def test_what_edited_layers_carry_is_told_together_and_not_as_what_they_gain_alone():
    last = summary().sentences((0,))[-1]
    assert last.startswith("Layer 0 carries +0.4000 of the gain (25.0%), and +0.0800 of the damage to prose")
    assert "alone they may have more or less" in last


def test_no_share_is_told_of_a_gain_that_is_not_told_from_none():
    first, _, last = summary(told=False).sentences((1,))
    assert "is not told from none (+1.6000 nats a token)" in first and "%" not in first
    assert "%" not in last


def test_the_table_marks_the_edited_layers():
    rows = as_text(carried_grid(summary(), (1,))).splitlines()
    assert [row.lstrip().startswith("*") for row in rows if "0.4" in row or "1.2" in row] == [False, True]
