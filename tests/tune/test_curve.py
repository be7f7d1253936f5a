"""The winner's damage beside that of all layers that gain as much, where both are known."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.artifacts.tuned_edits import Change, CurvePoint
from sae_merge_method.statistics.along_line import AlongLine, share_of_cost
from sae_merge_method.statistics.interpolation import excess_over_line
from sae_merge_method.statistics.losses import paired_ratio
from sae_merge_method.tune.bench import MeasuredEdit
from sae_merge_method.tune.curve import ON_CURVE, all_layers, around, beside_curve, equal_gain, near_damage
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.exam import Panel
from sae_merge_method.tune.tables import curve_grid
from sae_merge_method.tune.words import sentences

TEXTS = 60


class TwoLayers:
    """Layer 0 gains as its weight, up to a most; damage grows as the square of every weight, alike in both."""

    n_donors, n_layers = 1, 2
    base = Edit.none(1, 2)

    def __init__(self, most: float = 9.0) -> None:
        draw = np.random.default_rng(0)
        self._ease, self._frailty = draw.exponential(1, TEXTS) + 0.5, draw.exponential(1, TEXTS)
        self._most = most

    every_layer = np.ones((1, 2))

    def side(self, part: str, control: int | None = None) -> Any:
        return SimpleNamespace(name="prose", tokens=(2,) * TEXTS)

    def measure(self, edit: Edit, part: str) -> MeasuredEdit:
        first, second = edit.array[0]
        target = 10 - min(first, self._most) * self._ease
        control = 10 + 0.1 * (first**2 + second**2) * self._frailty
        tokens = self.side(part).tokens
        changes = [paired_ratio([10.0] * TEXTS, nats.tolist(), tokens) for nats in (target, control)]
        return MeasuredEdit(edit, part, changes[0], (changes[1],), 0, tuple(target), (tuple(control),))


def panel(most: float = 9.0) -> Panel:
    bench: Any = TwoLayers(most)
    return Panel(bench)


@pytest.mark.parametrize("start", [0.05, 0.5, 1.1])
def test_an_edit_of_the_layer_that_gains_does_half_of_the_damage_of_both(start: float) -> None:
    found = equal_gain(panel(), Edit.of(np.array([[0.6, 0.0]])), start, 0.05)
    assert found.ratio == pytest.approx(0.5, rel=0.015) and found.weight == pytest.approx(0.6)
    assert found.damage == pytest.approx(2 * 0.1 * 0.36 * np.mean(panel().bench._frailty) / 2, rel=0.015)
    assert found.damages == "less" and found.p is not None and found.p < 1e-9
    assert found.difference is not None and found.damage is not None
    assert found.difference.delta == pytest.approx((found.ratio - 1) * found.damage)
    weights = [one.weight for one in found.curve]
    assert weights == sorted(weights) and weights[0] <= 0.6 <= weights[-1]


def test_an_edit_that_wastes_weight_does_more_damage_and_the_curve_s_own_edit_as_much() -> None:
    found = equal_gain(panel(), Edit.of(np.array([[0.6, 1.0]])), 0.5, 0.05)
    assert found.damages == "more" and found.ratio is not None and found.ratio > 1.5
    same = equal_gain(panel(), Edit.of(np.array([[0.6, 0.6001]])), 0.5, 0.05)
    assert same.ratio == pytest.approx(1.0, rel=0.015)


class Noisy(TwoLayers):
    """Texts that each edit moves a little by chance as well: on the curve, gain grows as the root of damage."""

    def measure(self, edit: Edit, part: str) -> MeasuredEdit:
        exact = super().measure(edit, part)
        chance = np.random.default_rng(int(1e6 * edit.array.sum()))
        target = np.array(exact.target_nats) + 0.05 * chance.normal(size=TEXTS)
        control = np.array(exact.control_nats[0]) + 0.001 * chance.normal(size=TEXTS)
        return exact._replace(target_nats=tuple(target), control_nats=(tuple(control),))


@pytest.mark.parametrize("weight", [0.3, 0.45, 0.6, 0.8])
def test_an_edit_on_a_curve_that_bends_is_not_called_above_it(weight: float) -> None:
    bench: Any = Noisy()
    held, edit, ends = Panel(bench), Edit.of(np.array([[weight, weight + 0.0001]])), (0.6 * weight, 1.2)
    near, *_ = near_damage(held, edit, 0.5)
    assert near == pytest.approx(weight, rel=0.07)
    found = beside_curve(held, edit, ends, near, [1.0], 0.05)
    assert found.through is not None and found.through.weight == near and found.stands == "not shown"
    low, high, own = (bench.measure(all_layers(bench, one), "report") for one in (*ends, weight))
    share = share_of_cost(own.control_nats[0], low.control_nats[0], high.control_nats[0])
    assert isinstance(share, AlongLine)
    at, start, end = ([-nats for nats in one.target_nats] for one in (own, low, high))
    straight = excess_over_line(share, at, start, end)
    assert straight.delta is not None and straight.p is not None
    assert straight.delta > 0 and straight.p < 0.05, "a long line lies below the curve"


def test_an_edit_that_gains_more_at_equal_damage_is_above_a_curve_that_bends() -> None:
    bench: Any = Noisy()
    edit = Edit.of(np.array([[0.6, 0.0]]))
    found = beside_curve(Panel(bench), edit, (0.3, 0.6), near_damage(Panel(bench), edit, 0.5)[0], [1.0], 0.05)
    assert found.stands == "above" and found.difference is not None
    ease = float(np.mean(bench._ease)) / 2  # of two tokens
    assert found.difference.delta == pytest.approx((0.6 - 0.6 / 2**0.5) * ease, rel=0.1)
    told = found.through
    assert told is not None and told.weight == pytest.approx(0.6 / 2**0.5, rel=0.07)


def test_all_layers_at_one_weight_are_a_point_of_the_curve_and_held_against_nothing() -> None:
    edit = Edit.of(np.array([[0.6, 0.6]]))
    near, *_ = near_damage(panel(), edit, 0.5)
    found = beside_curve(panel(), edit, (0.45, 0.8), near, [1.0], 0.05)
    equal = equal_gain(panel(), edit, 0.6, 0.05)
    assert near == 0.6 and found.stands == equal.damages == "not tested"
    assert found.reason == equal.reason == ON_CURVE
    assert found.low.weight == found.high.weight == 0.6 and [one.weight for one in equal.curve] == [0.6]


def test_an_edit_that_damages_more_than_all_layers_ever_do_is_held_against_the_dearest() -> None:
    edit = Edit.of(np.array([[0.5, 3.0]]))
    assert near_damage(panel(), edit, 0.5)[0] == 1.2
    found = beside_curve(panel(), edit, (0.9, 1.2), 1.2, [1.0], 0.05)
    assert found.through is None and found.stands == "below"


class Overshot(TwoLayers):
    """What both layers gain is most near the whole weight, and less than the first gains alone."""

    def measure(self, edit: Edit, part: str) -> MeasuredEdit:
        first, second = edit.array[0]
        return super().measure(Edit.of(np.array([[first * (2 - first) - 0.05 * second**2, second]])), part)


def test_where_no_weight_gains_as_much_the_whole_task_vector_is_among_those_that_were_asked() -> None:
    bench: Any = Overshot()
    found = equal_gain(Panel(bench), Edit.of(np.array([[1.0, 0.0]])), 0.5, 0.05)
    assert [one.weight for one in found.curve] == [0.5, 0.75, 1.0, 1.125, 1.2]
    assert max(found.curve, key=lambda one: one.report.gain.delta).weight == 1.0
    assert found.reason == "the curve does not gain as much anywhere"


def test_an_edit_that_gains_nothing_is_not_held_against_the_curve() -> None:
    found = equal_gain(panel(), Edit.of(np.array([[0.0, 0.4]])), 0.5, 0.05)
    assert found.damages == "not tested" and found.reason == "it gains nothing itself"
    assert [one.weight for one in found.curve] == [0.5] and found.ratio is None


def test_a_curve_is_measured_around_the_gain_until_its_neighbours_are_near() -> None:
    for aim, start in ((0.4, 0.1), (0.4, 1.0), (0.05, 0.3)):
        weights = around(lambda weight: weight, aim, start)
        below = max(weight for weight in weights if weight < aim)
        above = min(weight for weight in weights if weight >= aim)
        assert above / below <= 1.25 and len(weights) <= 10
    assert around(lambda weight: weight, 5.0, 0.5)[-1] == 1.2  # no weight gains as much


def test_where_all_layers_never_gain_as_much_that_is_said_with_the_most_they_gain(tuned: Tune) -> None:
    found, won = tuned.equal_gain, tuned.winner.report.gain.delta
    gains = [one.report.gain.delta for one in found.curve]
    assert max(gains) < won and found.damages == "not tested" and found.ratio is None
    most = found.curve[gains.index(max(gains))]
    told = next(line for line in sentences(tuned) if line.startswith("At equal gain"))
    assert f"no weight of all layers gains as much. The most is {max(gains):+.5f}" in told
    assert f"at weight {most.weight:.4g}, at a damage of {most.report.damage.delta:+.5f}" in told


def test_less_damage_than_one_that_is_not_shown_is_told_without_a_share(tuned: Tune) -> None:
    less = Change(delta=-0.04, interval=(-0.05, -0.03))
    equal = tuned.equal_gain.model_copy(
        update={
            "weight": 0.5, "damage": 0.002, "difference": less, "p": 0.004, "damages": "less",
            "reason": "the curve's own cost is not told from none there: more documents would",
            "curve": [CurvePoint(weight=0.5, report=tuned.winner.report)],
        }
    )  # fmt: skip
    told = next(
        line for line in sentences(tuned.model_copy(update={"equal_gain": equal})) if "equal gain" in line
    )
    assert told == (
        "At equal gain, beside the damage that all layers do at weight 0.5, which is +0.00200 nats a token: "
        "less, -0.04000 (-0.05000 to -0.03000) beside it, p 0.0040. Which share of it that is, is not told, for "
        "the curve's own cost is not told from none there: more documents would."
    )


@pytest.mark.parametrize("stands", ["above", "not shown"])
def test_who_is_held_against_every_weight_is_told_so_with_the_nearest(tuned: Tune, stands: str) -> None:
    point = tuned.equal_gain.curve[-1]
    beside = tuned.beside_curve.model_copy(
        update={"share": None, "low": point, "high": point, "p": 0.2, "stands": stands}
    )
    (told,) = (
        line
        for line in sentences(tuned.model_copy(update={"beside_curve": beside}))
        if line.startswith("Beside the damping curve, at whatever damage")
    )
    assert f": {stands}, +" in told and f"weights that were measured, {point.weight:.4g}, p 0.2" in told


def test_every_point_that_the_sentence_names_is_a_row_of_the_table(tuned: Tune) -> None:
    through = tuned.equal_gain.curve[0].model_copy(update={"weight": 0.4321})
    change = Change(delta=0.1, interval=(0.0, 0.2))
    beside = tuned.beside_curve.model_copy(
        update={"through": through, "share": -0.01, "difference": change, "p": 0.05, "reason": None}
    )
    shown = tuned.model_copy(update={"beside_curve": beside})
    (told,) = (line for line in sentences(shown) if line.startswith("At equal damage"))
    rows = [row[0].text for row in curve_grid(shown).rows]
    for point in (beside.low, beside.high, through):
        assert f"{point.weight:.4g}" in told and f"all layers at {point.weight:.4g}" in rows
    assert "through all layers at 0.4321" in told


def test_all_that_was_tried_for_equal_damage_is_told_of() -> None:
    weights = near_damage(panel(), Edit.of(np.array([[0.6, 0.0]])), 0.05)
    assert weights[0] == pytest.approx(0.6 / 2**0.5, rel=0.07) and len(weights) > 3 and 0.05 in weights


def test_for_an_edit_that_does_no_damage_no_weight_is_looked_for() -> None:
    bench: Any = TwoLayers()
    bench.measure = lambda edit, part: TwoLayers.measure(
        bench, Edit.of(np.array([[edit.array[0, 0], 0.0]])) if edit.array[0, 1] == 0.01 else edit, part
    )
    assert near_damage(Panel(bench), Edit.of(np.array([[0.0, 0.01]])), 0.5) == (0.5,)
