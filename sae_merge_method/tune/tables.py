"""A search's tables: terminal, Markdown and page show the same. What they come to, :mod:`.words` says."""

from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.artifacts.tuned_edits import Effect, Scored, SearchedEdit
from sae_merge_method.layers import layer_of, part_of_layer, units_word
from sae_merge_method.reports.grid import NOTHING, UNDER_HEADER, Cell, Grid
from sae_merge_method.reports.notebook import View
from sae_merge_method.reports.numbers import decimal, nats, p_value
from sae_merge_method.tune.words import amount, reach, sentences

MOST_CANDIDATES = 40
"""Rows of the table of edits that were searched; the rest is in tune.json."""


def rival_grid(tune: Tune) -> Grid:
    """The winner and its rivals on the report part."""
    won, task = tune.winner.report, tune.task is not None
    nothing = Cell(NOTHING)
    rows = [
        (Cell("the winner", "the winner"), *_effect(won, task=task), nothing, nothing, nothing, Cell("", ""))
    ]
    for one in tune.rivals:
        strong = one.winner_is in ("better", "worse")
        change = one.difference if one.task is None else one.task
        rows.append(
            (
                Cell(one.name, one.name),
                *_effect(one.report, task=task),
                Cell(amount(change.delta, task), change.delta, strong),
                Cell(reach(change.interval, task)),
                Cell(p_value(one.p_adjusted) or NOTHING, one.p_adjusted),
                Cell(one.winner_is, one.winner_is),
            )
        )
    more = "winner's score less its" if task else "winner's gain less its"
    header = (*_heads(tune, "edit"), more, "interval", "Holm p", "the winner is")
    return Grid(
        header,
        tuple(rows),
        words=frozenset(("edit", "interval", "the winner is")),
        marked=frozenset((0,)),
        ruled=UNDER_HEADER,
    )


def _heads(tune: Tune, first: str) -> tuple[str, ...]:
    return (first, *((tune.task.metric,) if tune.task is not None else ()), "gain", "damage")


def curve_grid(tune: Tune) -> Grid:
    """All layers at one weight, and the winner, on the report part."""
    beside = tune.beside_curve
    points = (*tune.equal_gain.curve, beside.low, beside.high, beside.through)
    by_weight = {one.weight: one.report for one in points if one is not None}
    task = tune.task is not None
    rows = [
        (Cell(f"all layers at {weight:.4g}", weight), *_effect(by_weight[weight], task=task))
        for weight in sorted(by_weight)
    ]
    won = (Cell("the winner"), *_effect(tune.winner.report, task=task))
    return Grid(
        _heads(tune, "edit"),
        (won, *rows),
        words=frozenset(("edit",)),
        marked=frozenset((0,)),
        ruled=UNDER_HEADER,
    )


def finalist_grid(tune: Tune) -> Grid:
    """The edits that the choice was among, by their gain there: by the task's score, where there is one."""
    chosen = [(one, one.choice) for one in tune.candidates if one.choice is not None]
    chosen.sort(key=lambda each: (-_score(each[1].task), -each[1].gain.delta))
    won = tune.winner
    rows = tuple(
        (
            Cell(one.family, one.family),
            Cell(one.shape, one.shape),
            *_effect(one.search),
            *_effect(choice, task=tune.task is not None),
            *((Cell(_points_lost(choice.guard)),) if choice.guard is not None else ()),
        )
        for one, choice in chosen
    )
    marked = {
        number
        for number, (one, _) in enumerate(chosen)
        if (one.family, one.shape) == (won.family, won.shape)
        and (one.weights == won.weights or won.scaled != 1)
    }
    on_choice = tuple(f"{head}, choice" for head in _heads(tune, "")[1:])
    guard = () if tune.guard is None else ("points lost, choice",)
    header = ("family", "shape", "gain, search", "damage, search", *on_choice, *guard)
    return Grid(
        header, rows, words=frozenset(("family", "shape")), marked=frozenset(marked), ruled=UNDER_HEADER
    )


def _score(scored: Scored | None) -> float:
    return 0.0 if scored is None else scored.score


def _points_lost(scored: Scored) -> str:
    return f"{-100 * scored.change + 0.0:.2g}"


def weight_grid(tune: Tune) -> Grid:
    """The winner's weights, layer by layer or module by module, beside what each carries."""
    rows, units, layers = [], tune.winner.units, {one.layer: one for one in tune.layers}
    for order, (unit, *weights) in enumerate(zip(units, *tune.winner.weights, strict=True)):
        layer, part = layers[layer_of(unit)], part_of_layer(unit)
        carried = layer if part is None else layer.parts.get(part)
        rows.append(
            (
                Cell(str(unit), float(order)),
                *(Cell(f"{weight:.4g}" if weight else NOTHING, weight) for weight in weights),
                Cell(NOTHING) if carried is None else Cell(nats(carried.gain), carried.gain),
                Cell(NOTHING)
                if carried is None
                else Cell(nats(carried.damage), carried.damage, part is None and layer.stands_out),
            )
        )
    several = len(tune.donors) > 1
    heads = [f"weight of donor {number + 1}" if several else "weight" for number in range(len(tune.donors))]
    first = units_word(units).removesuffix("s")
    return Grid((first, *heads, "gain carried", "damage carried"), tuple(rows), ruled=UNDER_HEADER)


def candidate_grid(tune: Tune) -> Grid:
    """The edits that were searched within the budget, by their gain; those outside are left to the JSON."""
    within = [one for one in tune.candidates if one.search.damage.delta <= tune.budget]
    within.sort(key=lambda one: -one.search.gain.delta)
    rows = tuple(
        (
            Cell(one.family, one.family),
            Cell(one.shape, one.shape),
            Cell(_weights(one), _weights(one)),
            *_effect(one.search),
        )
        for one in within[:MOST_CANDIDATES]
    )
    return Grid(
        ("family", "shape", "weights", "gain", "damage"),
        rows,
        words=frozenset(("family", "shape", "weights")),
        ruled=UNDER_HEADER,
    )


def tune_view(tune: Tune) -> View:
    """A search as a notebook shows it."""
    return View((rival_grid(tune), finalist_grid(tune)), tail=tuple(sentences(tune)))


def _effect(effect: Effect, *, task: bool = False) -> tuple[Cell, ...]:
    gain, damage = effect.gain.delta, effect.damage.delta
    score = None if effect.task is None else effect.task.score
    on_task = (Cell(decimal(score), score),) if task else ()
    return *on_task, Cell(nats(gain), gain), Cell(nats(damage), damage)


def _weights(one: SearchedEdit) -> str:
    values = sorted({weight for row in one.weights for weight in row if weight})
    if len(values) == 1:
        return f"{values[0]:.4g}"
    return f"{values[0]:.4g} to {values[-1]:.4g}" if values else NOTHING
