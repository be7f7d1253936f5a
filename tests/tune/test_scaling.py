"""A shape made as large as the damage allows, on made-up damage."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from sae_merge_method.tune.edit import Edit, exchanged, shuffled
from sae_merge_method.tune.scaling import MOST, largest_within, up_to_damage


class Fake(NamedTuple):
    """A measurement with a damage alone."""

    edit: Edit
    damage: float


class Curve:
    """A bench on which damage is a power of the largest weight."""

    def __init__(self, size: float, power: float) -> None:
        self.base, self.tries = Edit.none(1, 3), 0
        self._size, self._power = size, power

    def measure(self, edit: Edit, part: str) -> Any:
        self.tries += edit != self.base
        return Fake(edit, self._size * float(edit.array.max()) ** self._power)


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("size", [0.05, 0.4, 8.0])
@pytest.mark.parametrize("guess", [None, 0.1])
def test_damage_comes_near_to_what_is_allowed_and_not_above(power, size, guess):
    curve = Curve(size, power)
    tries = list(up_to_damage(curve, np.ones((1, 3)), "search", 0.02, guess=guess))
    best = largest_within(tries, 0.02)
    assert best is not None and 0.8 * 0.02 <= best.measured.damage <= 0.02
    assert curve.tries <= 5


def test_what_does_no_damage_is_as_large_as_weights_may_be():
    curve = Curve(-0.01, 1.0)
    tries = list(up_to_damage(curve, np.array([[0.5, 1.0, 0.0]]), "search", 0.02, guess=0.3))
    assert tries[-1].measured.edit.weights == ((MOST / 2, MOST, 0.0),)


def test_where_no_weight_is_small_enough_there_is_none():
    curve = Curve(1e6, 1.0)
    tries = list(up_to_damage(curve, np.ones((1, 3)), "search", 1e-9))
    assert largest_within(tries, 1e-9) is None


def test_an_edit_has_the_digits_that_a_recipe_writes():
    edit = Edit.of(np.array([[0.123456, -0.2, 0.0]]))
    assert edit.weights == ((0.1235, 0.0, 0.0),) and edit.layers == (0,)
    assert shuffled(edit, (1, 2, 0)).weights == ((0.0, 0.0, 0.1235),)


def test_an_edit_by_module_names_its_modules_and_is_no_edit_by_layer_of_the_same_numbers():
    edit = Edit.of(np.array([[[0.0, 0.5], [0.25, 0.0]]]))
    assert [str(unit) for unit in edit.units] == ["0.attn", "0.mlp", "1.attn", "1.mlp"]
    assert [str(unit) for unit in edit.layers] == ["0.mlp", "1.attn"]
    assert edit.weights == ((0.0, 0.5, 0.25, 0.0),) and edit != Edit.of(np.array(edit.weights))
    assert Edit.of(edit.array) == edit
    assert shuffled(edit, (1, 0)).weights == ((0.25, 0.0, 0.0, 0.5),)
    assert exchanged(edit).weights == ((0.5, 0.0, 0.0, 0.25),)
