"""The damping curve, and who stands above and below it at equal damage."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.artifacts.experiment_plan import read_plan
from sae_merge_method.experiment.report.collect import collect
from sae_merge_method.experiment.report.planned import plan_table
from sae_merge_method.experiment.report.scatter import draw_scatter
from sae_merge_method.experiment.report.shown import SHOWN
from sae_merge_method.experiment.report.tables import curve_grid
from tests.experiment.report.folders import (
    BASE,
    NATS,
    PICK,
    Laid,
    ahead,
    collected,
    concluded,
    harmed,
    lay_out,
)

EVERY = tuple(range(8))
NOISE = [nats + (1.0 if i % 2 else -0.9) for i, nats in enumerate(NATS)]
CLAIM = "all layers damped to the same damage"


def curve(logged: bool = True) -> list[Laid]:
    """All layers at .25, .5 and 1, with damage of 1, 4 and 20 nats a document."""
    arms = [
        harmed(Laid("damped-0.25", (30, 15), EVERY, weight=0.25), 1.0),
        harmed(Laid("damped-0.5", (50, 25), EVERY, weight=0.5), 4.0),
        harmed(Laid("all-layers", (70, 35), EVERY, weight=1.0), 20.0),
    ]
    return [replace(arm, logged=logged) for arm in (replace(BASE, nats=NATS, weight=0.0), *arms)]


def pick(right: tuple[int, int], damage: float, logged: bool = True) -> Laid:
    return replace(harmed(PICK, damage), right=right, weight=1.0, logged=logged)


@pytest.mark.parametrize(
    ("right", "stands", "answer"),
    [((70, 35), "above", "yes"), ((21, 10), "below", "no"), ((41, 20), "not shown", "not shown")],
)
@pytest.mark.parametrize("logged", [True, False])
def test_an_arm_is_held_against_its_neighbours_on_the_curve(
    tmp_path: Path, right: tuple[int, int], stands: str, answer: str, logged: bool
) -> None:
    found = collected(tmp_path, [*curve(logged), pick(right, 2.5, logged)])
    assert found.damping_curve is not None
    (one,) = found.damping_curve.standings
    assert found.damping_curve.arms == ("base", "damped-0.25", "damped-0.5", "all-layers")
    assert (one.low, one.high, one.stands) == ("damped-0.25", "damped-0.5", stands)
    assert one.share == pytest.approx(0.5)  # 2.5 of 1 to 4
    assert one.delta == pytest.approx((sum(right) - 60) / 150)  # half way from 45 to 75 right
    assert next(each for each in found.conclusions if CLAIM in each.claim).answer == answer


def test_where_more_weight_does_less_damage_no_arm_is_held_against_the_curve(tmp_path: Path) -> None:
    """All layers better the general text: a pick of less damage than the base's is no feat beside the base."""
    bettering = [
        replace(arm, nats=[2 * b - n for n, b in zip(arm.nats, NATS, strict=True)]) for arm in curve()
    ]
    found = collected(tmp_path, [*bettering, pick((70, 35), -0.5)])
    assert found.damping_curve is not None
    (one,) = found.damping_curve.standings
    assert (one.low, one.high, one.stands) == ("damped-0.25", "base", "not tested")
    assert "less damage than base at more weight" in (one.reason or "")
    assert next(each for each in found.conclusions if CLAIM in each.claim).answer == "not tested"


@pytest.mark.parametrize(
    ("right", "weights", "stands"),
    [
        ((95, 48), 4, "above"),
        ((72, 36), 4, "not shown"),
        ((68, 34), 4, "not tested"),
        ((95, 48), 3, "not tested"),
    ],
)
def test_an_arm_that_gains_more_than_all_of_a_whole_curve_is_above_it_at_any_damage(
    tmp_path: Path, right: tuple[int, int], weights: int, stands: str
) -> None:
    """The arms of the curve damage alike, or as good as: there is no telling which is as harmful as the pick."""
    alike = [replace(arm, nats=NOISE) if arm.role != "base" else arm for arm in curve()]
    found = collected(tmp_path, [*alike[:weights], pick(right, 0.1)])
    assert found.damping_curve is not None
    (one,) = found.damping_curve.standings
    assert one.stands == stands
    if stands == "not tested":
        assert one.delta is None and "not told apart" in (one.reason or "")
        return
    assert one.share is None and one.low == one.high == "all-layers"
    assert one.delta == pytest.approx((sum(right) - 105) / 150)
    judged = next(each for each in found.conclusions if CLAIM in each.claim)
    assert judged.answer == ("yes" if stands == "above" else "not shown")
    assert (
        "whatever its damage, it gains" in judged.evidence
        and "all-layers, which comes nearest" in judged.evidence
    )


def test_pairs_by_problem_are_surer_than_scores_alone(tmp_path: Path) -> None:
    widths = []
    for logged in (True, False):
        found = collected(tmp_path / str(logged), [*curve(logged), pick((60, 30), 2.5, logged)])
        assert found.damping_curve is not None
        low, high = found.damping_curve.standings[0].interval or (0.0, 0.0)
        widths.append(high - low)
    assert widths[0] < widths[1]


def test_an_arm_on_the_curve_is_said_to_be_where_that_is_shown(tmp_path: Path) -> None:
    found = collected(tmp_path, [*curve(), pick((40, 20), 2.5)], curve_margin=10.0)
    assert found.damping_curve is not None
    assert found.damping_curve.standings[0].stands == "on"


def test_beyond_its_ends_the_curve_is_its_ends(tmp_path: Path) -> None:
    helps = replace(harmed(Laid("depth-matched", (25, 12), (0, 1)), -1.0), logged=True)
    found = collected(tmp_path, [*curve(), pick((60, 30), 40.0), helps])
    assert found.damping_curve is not None
    dear, cheap = found.damping_curve.standings
    assert (dear.high, dear.share, dear.delta) == ("all-layers", 1, pytest.approx(-0.1))
    assert (cheap.low, cheap.share) == ("base", 0)


@pytest.mark.parametrize("logged", [True, False])
def test_beyond_a_curve_that_ends_before_all_layers_whole_nothing_is_claimed(
    tmp_path: Path, logged: bool
) -> None:
    """More damage than all layers at .5 do: what they gain at as much was not measured."""
    found = collected(tmp_path, [*curve(logged)[:3], pick((70, 35), 5.0, logged)])
    assert found.damping_curve is not None
    (one,) = found.damping_curve.standings
    assert (one.low, one.high, one.stands) == ("damped-0.25", "damped-0.5", "not tested")
    assert one.share is None and one.delta is None and one.p is None
    judged = next(each for each in found.conclusions if CLAIM in each.claim)
    assert judged.answer == "not tested" and "more damage than the curve reaches" in judged.evidence


@pytest.mark.parametrize(
    ("arms", "reason"),
    [
        ([*curve()[:1], pick((60, 30), 2.5)], "there are no damped arms"),
        ([replace(arm, nats=None) for arm in (*curve(), pick((60, 30), 2.5))], "no general corpus was given"),
        ([curve()[0], replace(curve()[1], nats=NOISE), pick((60, 30), 0.1)], "not told apart"),
    ],
)
def test_without_a_curve_that_can_be_told_nothing_is_said(
    tmp_path: Path, arms: Sequence[Laid], reason: str
) -> None:
    found = concluded(tmp_path, arms, CLAIM)
    assert found.answer == "not tested" and reason in found.evidence


def test_a_metric_that_should_fall_is_turned_round(tmp_path: Path) -> None:
    falls = {"higher_is_better": {"exact_match": False}}
    arms = [replace(arm, changes=falls) for arm in (*curve(), pick((70, 35), 2.5))]
    folder = lay_out(tmp_path, arms)
    for file in folder.glob("arms/*/results/*/results_*.json"):
        raw = json.loads(file.read_text())
        raw["higher_is_better"] = {task: {"exact_match": False} for task in raw["results"]}
        file.write_text(json.dumps(raw))
    found = collect(folder)
    assert not found.higher_is_better
    assert found.damping_curve is not None and found.damping_curve.standings[0].stands == "below"


def test_report_and_picture_show_the_curve(tmp_path: Path) -> None:
    found = collected(tmp_path, [*curve(), pick((70, 35), 2.5)])
    grid = curve_grid(found)
    assert grid is not None
    (row,) = grid.rows
    assert [cell.text for cell in row[:5]] == ["stethoscope", "+0.27437", "+50.0", "+20.0", "+30.0"]
    shown = next(one for one in SHOWN if one.grid is curve_grid)
    assert "base, damped-0.25, damped-0.5, all-layers" in shown.words(found)
    without = Experiment.model_validate({**found.model_dump(), "damping_curve": None})
    assert draw_scatter(found) != draw_scatter(without)
    assert curve_grid(without) is None


def test_a_plan_says_how_many_passages_damage_takes(tmp_path: Path) -> None:
    lay_out(tmp_path, [*curve(), pick((70, 35), 2.5)])
    plan = read_plan(tmp_path)
    few, none, enough = (" ".join(plan_table(ahead(plan, documents=n)).split()) for n in (100, 0, 300))
    assert "Damage is measured on 100 passages: " in few and "takes some 300 (general_loss)" in few
    assert "Damage is not measured: " in none
    assert "passages" not in enough and "takes some 300" not in enough
