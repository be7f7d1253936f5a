"""An edit beside a curve of weights: on its line, above all of it, or not held against it at all."""

from collections.abc import Sequence

import numpy as np
import pytest

from sae_merge_method.statistics.along_line import share_of_cost
from sae_merge_method.statistics.beside_curve import (
    GainAndCost,
    Place,
    Score,
    Weighted,
    place_beside,
    stands,
)
from sae_merge_method.statistics.interpolation import AboveLine, excess_over_line

PROBLEMS, DOCUMENTS = 60, 40


def outcome(gain: float, cost: float, seed: int = 0) -> GainAndCost:
    """Of these means, with errors of their own."""
    draw = np.random.default_rng([seed, round(1000 * gain), round(1000 * cost) + 10000])
    ease = np.random.default_rng(1).normal(0, 1, PROBLEMS)
    gains = ease + draw.normal(0, 0.3, PROBLEMS)
    costs = draw.normal(0, 0.3, DOCUMENTS)
    return GainAndCost(
        (gains - gains.mean() + gain).tolist(),
        (costs - costs.mean() + cost).tolist(),
        Score(gain, 0.04, PROBLEMS),
    )


def curve(costs: Sequence[float] = (0, 1, 4, 20), whole: float = 1.0) -> list[Weighted]:
    weights = (0.0, 0.25, 0.5, whole)
    gains = (0.0, 0.3, 0.5, 0.8)
    return [
        Weighted(f"weight {weight:g}", weight, outcome(gain, cost))
        for weight, gain, cost in zip(weights, gains, costs, strict=True)
    ]


@pytest.mark.parametrize(("gain", "verdict"), [(0.9, "above"), (0.4, "not shown"), (0.1, "below")])
def test_an_edit_is_held_against_the_line_between_its_neighbours(gain: float, verdict: str) -> None:
    edit, points = outcome(gain, 2.5), curve()
    low, high, excess = place_beside(edit, points)
    assert (low, high) == (1, 2)
    assert excess.share == pytest.approx(0.5) and excess.delta == pytest.approx(gain - 0.4)
    assert stands(excess, excess.p, 0.05) == verdict
    share = share_of_cost(edit.costs, points[1].outcome.costs, points[2].outcome.costs)
    assert not isinstance(share, str) and edit.gains is not None
    ends = [points[nth].outcome.gains or () for nth in (low, high)]
    assert excess == excess_over_line(share, edit.gains, *ends)


def test_the_order_in_which_a_curve_is_told_does_not_matter() -> None:
    edit, points = outcome(0.9, 2.5), curve()
    there, back = place_beside(edit, points), place_beside(edit, points[::-1])
    assert back == Place(3 - there.low, 3 - there.high, there.excess)


@pytest.mark.parametrize(("cost", "ends", "share"), [(-3.0, (0, 1), 0.0), (50.0, (2, 3), 1.0)])
def test_beyond_an_end_an_edit_is_held_against_the_end(
    cost: float, ends: tuple[int, int], share: float
) -> None:
    place = place_beside(outcome(0.6, cost), curve())
    assert (place.low, place.high) == ends and place.excess.share == share


def test_a_stretch_that_was_chosen_beforehand_is_taken_cheaper_end_first() -> None:
    for stretch in ((0, 2), (2, 0)):
        place = place_beside(outcome(0.4, 2.0), curve(), stretch)
        assert (place.low, place.high) == (0, 2) and place.excess.share == pytest.approx(0.5)


@pytest.mark.parametrize(("cost", "ends", "share"), [(12.0, (2, 3), 0.5), (0.5, (0, 1), 0.5)])
def test_an_edit_that_lies_beyond_its_stretch_is_held_against_its_neighbours_instead(
    cost: float, ends: tuple[int, int], share: float
) -> None:
    place = place_beside(outcome(0.6, cost), curve(), (1, 2))
    assert (place.low, place.high) == ends and place.excess.share == pytest.approx(share)
    assert place == place_beside(outcome(0.6, cost), curve())


@pytest.mark.parametrize("stretch", [None, (1, 2), (2, 3)])
def test_beyond_a_curve_that_ends_before_the_whole_nothing_is_told(stretch: tuple[int, int] | None) -> None:
    """What more of everything would gain there was not measured: all that is known is that it costs more."""
    place = place_beside(outcome(1.4, 25.0), curve(whole=0.9), stretch)
    assert (place.low, place.high) == (2, 3)
    assert place.excess == AboveLine.untested("it does more damage than the curve reaches")
    within = place_beside(outcome(1.4, 12.0), curve(whole=0.9), stretch)
    assert (within.low, within.high) == (2, 3)
    assert stands(within.excess, within.excess.p, 0.05) == "above"


def test_where_more_weight_costs_less_there_is_nothing_to_trade() -> None:
    """Whole, the edit costs less than at weight .5: of two at a cost of 3 neither is a feat."""
    points = curve(costs=(0, 1, 4, 2))
    low, high, excess = place_beside(outcome(0.7, 3.0), points)
    assert (points[low].name, points[high].name) == ("weight 1", "weight 0.5")
    assert excess.p is None and excess.delta is None and stands(excess, excess.p, 0.05) == "not tested"
    assert excess.reason == "weight 1 does less damage than weight 0.5 at more weight: nothing to trade"
    assert place_beside(outcome(0.7, 3.0), points, (2, 3)).excess.reason == excess.reason
    rises = place_beside(outcome(0.7, 0.5), points)  # where it still rises it holds
    assert (rises.low, rises.high) == (0, 1) and rises.excess.p is not None


@pytest.mark.parametrize("costs", [(0, 1, 4, 2), (0, 0.01, 0.01, 0.01)])
def test_who_gains_more_than_every_point_is_above_it_where_no_line_is_told(costs: Sequence[float]) -> None:
    low, high, excess = place_beside(outcome(1.4, max(0.01, costs[2] - 1)), curve(costs))
    assert low == high == 3 and excess.share is None
    assert excess.delta == pytest.approx(0.6) and stands(excess, excess.p, 0.05) == "above"


@pytest.mark.parametrize(("whole", "verdict"), [(1.0, "above"), (1.2, "above"), (0.9, "not tested")])
def test_no_edit_is_above_all_of_a_curve_that_ends_before_the_whole(whole: float, verdict: str) -> None:
    excess = place_beside(outcome(1.4, 3.0), curve((0, 1, 4, 2), whole)).excess
    assert stands(excess, excess.p, 0.05) == verdict


@pytest.mark.parametrize("where", ["the edit", "weight 0.25", "weight 1"])
@pytest.mark.parametrize("field", ["gains", "costs"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_said_and_never_placed(where: str, field: str, value: float) -> None:
    edit, points = outcome(0.9, 2.5), curve()

    def broken(one: GainAndCost) -> GainAndCost:
        return one._replace(**{field: [*getattr(one, field)[:-1], value]})

    if where == "the edit":
        edit = broken(edit)
    points = [one._replace(outcome=broken(one.outcome)) if one.name == where else one for one in points]
    excess = place_beside(edit, points).excess
    assert excess.p is None and stands(excess, excess.p, 0.05) == "not tested"
    assert excess.reason == f"{where} has a gain or a damage that is no finite number"


def test_without_problems_of_their_own_scores_are_held_against_each_other() -> None:
    def alone(one: GainAndCost) -> GainAndCost:
        return one._replace(gains=None)

    points = [one._replace(outcome=alone(one.outcome)) for one in curve()]
    excess = place_beside(alone(outcome(0.9, 2.5)), points).excess
    assert excess.delta == pytest.approx(0.5) and excess.p is not None and excess.p < 0.05
    errorless = place_beside(alone(outcome(0.9, 2.5))._replace(score=None), points).excess
    assert errorless.p is None and errorless.reason == "scores without an error"
    assert errorless.share == pytest.approx(0.5)
    # Scores alone do not tell who gains more than every point: that is asked problem by problem.
    level = [one._replace(outcome=alone(one.outcome)) for one in curve((0, 1, 4, 2))]
    assert place_beside(outcome(1.4, 3.0), level).excess.p is None


def test_an_edit_is_on_the_curve_only_where_a_margin_says_so() -> None:
    near = AboveLine(0.5, 0.0, 0.01, 50, 0.9)
    assert stands(near, 0.9, 0.05, 0.02) == "on"
    assert stands(near, 0.9, 0.05, 0.01) == "not shown" == stands(near, 0.9, 0.05)
    assert stands(near._replace(delta=-0.1), 0.01, 0.05, 0.02) == "below"
