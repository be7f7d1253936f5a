"""Whom the winner has to beat: a shape at its best weight that does no more damage than the winner, or an
edit."""

from collections.abc import Iterable, Sequence
from functools import partial
from random import Random
from typing import NamedTuple

from sae_merge_method.layers import format_layers
from sae_merge_method.statistics.along_line import AlongLine, share_of_cost
from sae_merge_method.tune.bench import Bench, MeasuredEdit
from sae_merge_method.tune.edit import Edit, Shape, exchanged, shuffled
from sae_merge_method.tune.families import all_but, on_layers
from sae_merge_method.tune.scaling import MOST, up_to_damage
from sae_merge_method.tune.search import Searched, whole
from sae_merge_method.tune.splits import CHOICE

_LEAST = 0.05
"""Share of the budget that counts as the winner's damage where it does less."""


_AROUND = (0.75, 0.5, 0.25)
"""How much smaller, and larger, than the twin's weight the curve's two points are: the first whose damage is
told apart, for between them it is told how steep the curve is."""


class Contender(NamedTuple):
    """One rival."""

    name: str
    description: str
    edit: Edit


class Field(NamedTuple):
    """All rivals, and where the damping curve comes near to the winner on the choice part."""

    contenders: tuple[Contender, ...]
    twin: float
    """Weight of all layers that do as much damage as the winner at most; its own where it is all layers."""
    around: tuple[float, float]
    """Two weights of all layers on both sides of it, the smaller first."""


class Pick(NamedTuple):
    """What a diagnosis selects."""

    layers: tuple[int, ...]
    words: str
    """Rule and score."""


def contenders(
    bench: Bench,
    searched: Searched,
    winner: MeasuredEdit,
    budget: float,
    donors: Sequence[str],
    pick: Pick | None,
    shuffles: int,
) -> Field:
    """Rivals of a winner; their weights are told by the choice part alone.

    Args:
        bench: To measure on.
        searched: What the search said.
        winner: On the choice part.
        budget: Damage that was allowed, in nats a token.
        donors: Their names.
        pick: What a diagnosis selects, where there is one.
        shuffles: Orders in which the winner's weights are laid over other layers.
    """
    damage = max(winner.damage, _LEAST * budget)
    n_donors, n_layers = bench.n_donors, bench.n_layers
    everything = bench.every_layer
    guess = float(searched.start.array.max())
    costly = searched.attribution.costly
    spared = on_layers(n_donors, n_layers, all_but(n_layers, costly))
    picked = None if pick is None else on_layers(n_donors, n_layers, pick.layers)
    twin = winner.edit.weight_of_all
    bench.measure(bench.base, CHOICE)
    bench.ahead(
        [
            *([partial(_as_damaging, bench, everything, damage, guess)] if twin is None else []),
            *([partial(_as_damaging, bench, spared, damage, guess)] if costly else []),
            *(
                [partial(_as_damaging, bench, picked, damage, min(MOST, 2 * guess))]
                if picked is not None
                else []
            ),
        ]
    )
    contenders = [
        Contender("base", "nothing injected: what the edit gains at all", bench.base),
        *_donors(bench, donors),
    ]
    if twin is None:
        twin = _as_damaging(bench, everything, damage, guess)
        told = f"all layers at weight {twin:.4g}: as much damage at most, without any choice"
        contenders.append(Contender("all layers damped", told, Edit.of(twin * everything)))
    if costly:
        weight = _as_damaging(bench, spared, damage, guess)
        told = f"all layers but {format_layers(costly)}, whose damage stands out, at weight {weight:.4g}"
        contenders.append(Contender("all but the costly", told, Edit.of(weight * spared)))
    contenders += _shuffles(winner.edit, shuffles)
    if pick is not None and picked is not None:
        weight = _as_damaging(bench, picked, damage, min(MOST, 2 * guess))
        told = f"layers {format_layers(pick.layers)} by {pick.words}, at weight {weight:.4g}"
        contenders.append(Contender("the diagnosis' pick", told, Edit.of(weight * picked)))
    return Field(tuple(contenders), twin, _around(bench, everything, twin, winner.worst))


def _around(bench: Bench, everything: Shape, twin: float, control: int) -> tuple[float, float]:
    """Two weights of all layers around the twin's, by the choice part."""
    for nearness in _AROUND:
        low, high = nearness * twin, min(twin / nearness, MOST)
        ends = [bench.measure(Edit.of(one * everything), CHOICE).control_nats[control] for one in (low, high)]
        if isinstance(share_of_cost(ends[0], *ends), AlongLine):
            break
    return low, high


def _as_damaging(bench: Bench, shape: Shape, damage: float, guess: float) -> float:
    """The weight, of those tried, at which a shape gains most on the choice part without more damage than
    this.

    Where every weight does more, the one that does least.
    """
    tries = list(up_to_damage(bench, shape, CHOICE, damage, guess=guess))
    within = [one for one in tries if one.measured.damage <= damage]
    if not within:
        return min(tries, key=lambda one: one.measured.damage).factor
    return max(within, key=lambda one: one.measured.gain).factor


def _donors(bench: Bench, names: Sequence[str]) -> Iterable[Contender]:
    for number, name in enumerate(names):
        called = "donor" if len(names) == 1 else f"donor {number + 1}"
        told = f"all layers of {name} at weight 1: the most the task vector has to give, at whatever damage"
        yield Contender(called, told, whole(bench, number))


def _shuffles(edit: Edit, count: int) -> Iterable[Contender]:
    """The winner's weights in other layers, and those of modules in the other part, where that is another
    edit."""
    random, seen = Random("shuffled weights"), {edit}
    if edit.is_by_module and exchanged(edit) not in seen:
        seen.add(exchanged(edit))
        told = (
            "the winner's own weights with those of attention and MLP exchanged in every layer: whether it "
            "matters which part has which"
        )
        yield Contender("parts exchanged", told, exchanged(edit))
    for number in range(1, count + 1):
        order = list(range(edit.array.shape[1]))
        random.shuffle(order)
        other = shuffled(edit, order)
        if other not in seen:
            seen.add(other)
            told = "the winner's own weights in other layers: whether it matters which layer has which"
            yield Contender(f"shuffled {number}", told, other)
