"""What the trial's report says of tuned edits follows from the artifact's figures at equal gain."""

from typing import Any

import pytest

from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.artifacts.tuned_edits import Change, CurvePoint, Effect, EqualGain, Winner
from trials.folder import DonorName
from trials.report.tuned import TunedPair

CURVE = ((0.2, 1.0), (0.4, 1.5))
"""(weight, gain) of all layers, where the winner gains 1.2."""


def _effect(gain: float) -> Effect:
    return Effect.model_construct(
        gain=Change(delta=gain, interval=None), damage=Change(delta=0.01, interval=None)
    )


def _pair(ratio: float | None, damages: Any, gain: float = 1.2) -> TunedPair:
    points = tuple(CurvePoint.model_construct(weight=weight, report=_effect(more)) for weight, more in CURVE)
    equal = EqualGain.model_construct(
        curve=points, damage=None if ratio is None else 0.04, ratio=ratio, damages=damages
    )
    winner = Winner.model_construct(report=_effect(gain))
    return TunedPair(DonorName("sums", 0), Tune.model_construct(winner=winner, equal_gain=equal), None, None)


@pytest.mark.parametrize(
    ("ratio", "damages", "half"),
    [(0.4, "less", True), (0.5, "less", True), (0.6, "less", False), (0.4, "not shown", False)],
)
def test_half_the_damage_is_half_or_less_that_is_shown_to_be_less(ratio, damages, half):
    assert _pair(ratio, damages).is_half is half


def test_an_edit_that_gains_more_than_any_weight_of_all_layers_has_no_damage_beside_it():
    beyond = _pair(None, "not tested", gain=1.6)
    assert (beyond.beyond, beyond.told_damage, beyond.is_half) == (True, "none gains as much", False)
    assert (_pair(0.4, "less").beyond, _pair(0.4, "less").told_damage) == (False, "+0.04000")
    assert _pair(None, "not tested").told_damage == "" and _pair(None, "not tested").beside is None
    assert _pair(0.4, "less").beside == pytest.approx(-0.03)
