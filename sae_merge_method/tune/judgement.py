"""The whole judgement of a winner: all that is asked of the report part, by all processes together, and what
it says."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from sae_merge_method.artifacts.tuned_edits import BesideCurve, EqualGain, Rival, Winner
from sae_merge_method.tune.choose import Chosen
from sae_merge_method.tune.equal_gain import all_layers, equal_gain
from sae_merge_method.tune.exam import Panel
from sae_merge_method.tune.judge import beside_curve, rivals, winner
from sae_merge_method.tune.parts import REPORT
from sae_merge_method.tune.rivals import Field


class Judged(NamedTuple):
    """The winner and all that it was held against."""

    winner: Winner
    rivals: tuple[Rival, ...]
    beside_curve: BesideCurve
    equal_gain: EqualGain


def judge(panel: Panel, chosen: Chosen, field: Field, budget: float, alpha: float) -> Judged:
    """Hold the winner against everything, once.

    Args:
        panel: To measure by.
        chosen: The winner.
        field: Whom it has to beat.
        budget: Damage that was allowed, in nats a token.
        alpha: Level of every test; intervals are at 1 - alpha.
    """
    bench, edit = panel.bench, chosen.measured.edit
    for one in (bench.base, edit):
        panel.ask(one, REPORT)
    held = partial(equal_gain, panel, edit, field.twin, alpha)
    whole = all_layers(bench, 1.0)
    others = dict.fromkeys((*(one.edit for one in field.contenders), *(one for _, one in field.curve), whole))
    asked: list[Callable[[], object]] = [partial(panel.ask, one, REPORT, guarded=False) for one in others]
    bench.ahead([held, *asked])
    equal = held()
    weights = dict(field.curve) | {1.0: whole}
    weights |= {one.weight: all_layers(bench, one.weight) for one in equal.curve}
    return Judged(
        winner(panel, chosen, budget, alpha),
        rivals(panel, edit, field.contenders, alpha),
        beside_curve(panel, edit, field, weights, alpha),
        equal,
    )
