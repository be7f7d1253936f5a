"""What a search refuses, and whom it sends on, on made-up measurements."""

from typing import Any

import numpy as np
import pytest

from sae_merge_method.statistics.losses import RatioChange
from sae_merge_method.tune.bench import MeasuredEdit
from sae_merge_method.tune.choose import chance_of_gain, choose
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.exam import Panel
from sae_merge_method.tune.families import NamedShape
from sae_merge_method.tune.search import Candidate, TuneError, allowed_damage, finalists, search
from sae_merge_method.tune.settings import TuneSettings

SETTINGS = TuneSettings(base="base", donor="donor", target="t", control="c", budget=0.01)


def measured(edit: Edit, gain: float, damage: float, part: str = "search") -> MeasuredEdit:
    target, control = RatioChange(-gain, 0.01, 50, 0.0), RatioChange(damage, 0.01, 50, 0.0)
    return MeasuredEdit(edit, part, target, (control,), 0, (), ((),))


class Made:
    """A bench whose gain and damage are functions of the largest weight."""

    n_donors, n_layers = 1, 2
    base = Edit.none(1, 2)
    every_layer = np.ones((1, 2))

    def __init__(self, gain: float, damage: float) -> None:
        self._gain, self._damage = gain, damage

    def ahead(self, calls: Any) -> None:
        pass

    def measure(self, edit: Edit, part: str) -> Any:
        largest = float(edit.array.max())
        return measured(edit, self._gain * largest, self._damage * largest, part)


def candidate(family: str, weight: float, gain: float, damage: float) -> Candidate:
    shape = NamedShape("all", np.ones((1, 2)))
    return Candidate(family, shape, weight, measured(Edit.of(weight * shape.shape), gain, damage))


def test_where_the_smallest_weight_damages_too_much_no_edit_meets_the_budget():
    with pytest.raises(TuneError, match=r"no edit meets the budget of 0.01 .* on the search part"):
        search(Made(1.0, 1e4), SETTINGS, 0.01, lambda line: None)


def test_finalists_are_the_best_of_each_family_within_the_budget_then_the_next_best():
    made = [
        candidate("a", 0.1, 1.0, 0.005),
        candidate("a", 0.2, 2.0, 0.009),
        candidate("a", 0.3, 9.0, 0.011),
        candidate("b", 0.4, 0.5, 0.0),
        candidate("c", 0.5, -0.1, 0.0),
    ]
    found = finalists(made, 0.01, 3)
    assert [(one.family, one.measured.gain) for one in found] == [("a", 2.0), ("b", 0.5), ("a", 1.0)]
    with pytest.raises(TuneError, match="no edit helps within the budget of 0.001"):
        finalists(made[:3], 0.001, 3)
    with pytest.raises(TuneError, match="none of the families has an edit of this model"):
        finalists([], 0.01, 3)


def test_a_finalist_that_damages_too_much_on_the_choice_part_is_made_as_small_as_it_has_to_be():
    chosen = choose(Panel(Made(1.0, 0.05)), [candidate("a", 0.3, 1.0, 0.0)], 0.01, 0.05)
    assert 0.55 < chosen.scaled < 0.67 and 0.0085 <= chosen.measured.damage <= 0.01
    with pytest.raises(TuneError, match="no edit meets the budget of 1e-07 .* on the choice part"):
        choose(Panel(Made(1.0, 50.0)), [candidate("a", 0.3, 1.0, 0.0)], 1e-7, 0.05)


def test_a_finalist_that_has_to_be_smaller_still_wins_where_it_gains_more_than_one_that_has_not():
    within, harmful = candidate("a", 0.1, 0.1, 0.005), candidate("a", 0.3, 1.0, 0.0)
    chosen = choose(Panel(Made(1.0, 0.05)), [within, harmful], 0.01, 0.05)
    assert chosen.candidate is harmful and chosen.scaled < 1 and chosen.measured.gain > 0.17


def test_a_gain_has_to_be_shown_on_the_choice_part_however_many_compete():
    few, many = ([candidate("a", 0.1 + number / 100, 1.0, 0.0) for number in range(n)] for n in (1, 9))
    bench: Any = Made(0.2, 0.0)  # some two standard errors
    assert choose(Panel(bench), few, 0.01, 0.05).measured.gain > 0
    with pytest.raises(TuneError, match="no edit is shown to help on the choice part: .* for 9 finalists"):
        choose(Panel(Made(0.1, 0.0)), many, 0.01, 0.05)


def test_where_all_texts_moved_alike_their_direction_decides():
    assert chance_of_gain(RatioChange(-0.1, None, 9, 0.0)) == 0
    assert chance_of_gain(RatioChange(0.1, None, 9, 0.0)) == 1


class Answers:
    """A task, or a guard, whose score is a function of the largest weight."""

    name, metric, sizes = "answers", "acc", {"choice": 40}

    def __init__(self, grows: float) -> None:
        self._grows = grows

    def mean(self, bench: Any, edit: Edit, part: str) -> float:
        return 0.5 + self._grows * float(edit.array.max())


def panel(bench: Any, task: Any = None, guard: Any = None, points: float | None = None) -> Panel:
    return Panel(bench, task, guard, points)


def test_an_edit_that_lowers_the_loss_and_answers_no_more_is_not_taken():
    finalists = [candidate("a", 0.3, 1.0, 0.0), candidate("b", 0.2, 0.9, 0.0)]
    assert choose(panel(Made(1.0, 0.0), Answers(0.1)), finalists, 0.01, 0.05).candidate.family == "a"
    words = r"no edit helps on answers: the best \(b\) has 0.480 of acc on the choice part, the base 0.500"
    with pytest.raises(TuneError, match=words):
        choose(panel(Made(1.0, 0.0), Answers(-0.1)), finalists, 0.01, 0.05)


def test_finalists_that_lose_too_many_points_are_made_smaller_once():
    finalists = [candidate("a", 0.3, 1.0, 0.0)]
    chosen = choose(panel(Made(1.0, 0.0), guard=Answers(-0.1), points=2.5), finalists, 0.01, 0.05)
    assert chosen.scaled == pytest.approx(0.7)
    words = (
        r"no edit meets the budget of 1 points of answers on the choice part: the least that is lost is 2.1"
    )
    with pytest.raises(TuneError, match=words):
        choose(panel(Made(1.0, 0.0), guard=Answers(-0.1), points=1), finalists, 0.01, 0.05)


def test_points_alone_allow_what_all_layers_may_weigh_and_where_none_may_that_is_said():
    lines: list[str] = []
    guarded = panel(Made(1.0, 0.02), guard=Answers(-0.1), points=4)
    allowed = allowed_damage(guarded, None, lines.append)
    assert allowed == (pytest.approx(0.02 * 0.4), 0.4)
    assert lines == ["4 points of answers: kept by all layers at weight 0.4, whose damage of 0.008 nats a token is "
                     "the budget of the search"]  # fmt: skip
    assert allowed_damage(guarded, 0.3, lines.append) == (0.3, None)
    with pytest.raises(
        TuneError, match=r"no edit meets the budget of 4 points of answers: all layers at weight 0.1"
    ):
        allowed_damage(panel(Made(1.0, 0.02), guard=Answers(-1.0), points=4), None, lines.append)
