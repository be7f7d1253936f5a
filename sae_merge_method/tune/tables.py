"""A search's tables and sentences: terminal, Markdown and page show the same."""

from sae_merge_method.artifacts.tune import Asked, Tune
from sae_merge_method.artifacts.tuned_edits import Change, Effect, Scored, SearchedEdit
from sae_merge_method.layers import format_layers
from sae_merge_method.reports.grid import NOTHING, Cell, Grid
from sae_merge_method.reports.notebook import View
from sae_merge_method.reports.numbers import decimal, nats, p_value, signed_decimal

_UNDER_HEADER = frozenset((0,))
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
                Cell(_amount(change.delta, task), change.delta, strong),
                Cell(_reach(change.interval, task)),
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
        ruled=_UNDER_HEADER,
    )


def _heads(tune: Tune, first: str) -> tuple[str, ...]:
    return (first, *((tune.task.metric,) if tune.task is not None else ()), "gain", "damage")


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
        header, rows, words=frozenset(("family", "shape")), marked=frozenset(marked), ruled=_UNDER_HEADER
    )


def _score(scored: Scored | None) -> float:
    return 0.0 if scored is None else scored.score


def _points_lost(scored: Scored) -> str:
    return f"{-100 * scored.change + 0.0:.2g}"


def weight_grid(tune: Tune) -> Grid:
    """The winner's weights, layer by layer, beside what the layer carries."""
    rows = []
    for number, one in enumerate(tune.layers):
        of_layer = [row[number] for row in tune.winner.weights]
        rows.append(
            (
                Cell(str(one.layer), float(one.layer)),
                *(Cell(f"{weight:.4g}" if weight else NOTHING, weight) for weight in of_layer),
                Cell(nats(one.gain), one.gain),
                Cell(nats(one.damage), one.damage, one.stands_out),
            )
        )
    several = len(tune.donors) > 1
    weights = [f"weight of donor {number + 1}" if several else "weight" for number in range(len(tune.donors))]
    return Grid(("layer", *weights, "gain carried", "damage carried"), tuple(rows), ruled=_UNDER_HEADER)


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
        ruled=_UNDER_HEADER,
    )


_KEPT = {
    "kept": "shown to be kept",
    "exceeded": "shown to be exceeded",
    "not shown": "neither shown kept nor exceeded",
}


def sentences(tune: Tune) -> list[str]:
    """What came of it, in plain words."""
    won, curve, task = tune.winner, tune.beside_curve, tune.task is not None
    smaller = f", made smaller by {won.scaled:.3g} to meet it" if won.scaled != 1 else ""
    lines = [
        f"The winner is {won.family} ({won.shape}){smaller}: on the report part it gains "
        f"{_with_reach(won.report.gain)} nats a token at a damage of {_with_reach(won.report.damage)} to "
        f"{won.report.control}.",
    ]
    if tune.task is not None and won.report.task is not None:
        lines.append(_on_task(tune.task, won.report.task))
    lines.append(f"The budget of {tune.budget:g} nats a token is {_KEPT[won.budget]} there.")
    if tune.guard is not None and won.report.guard is not None and won.points is not None:
        lost = Change(delta=won.report.guard.change, interval=won.report.guard.interval)
        lines.append(
            f"On {tune.guard.name} {tune.guard.metric} changes by {_with_reach(lost, True)}: the "
            f"budget of {tune.points:g} points is {_KEPT[won.points]}, of "
            f"{tune.guard.problems.get('report', 0)} problems."
        )
    had = won.choice.task.change if won.choice.task is not None else won.choice.gain.delta
    lines.append(
        "Winner's curse: on the choice part, where it was the best, it gained "
        f"{_amount(had, task)}: {_amount(won.curse, task)} beside the report part, where nothing was chosen."
    )
    between = f"all layers at {curve.low.weight:.4g} and {curve.high.weight:.4g}"
    if curve.difference is None or curve.p is None:
        lines.append(f"Beside the damping curve ({between}): not tested, {curve.reason}.")
    else:
        unit = tune.task.metric if tune.task is not None else "nats a token"
        lines.append(
            f"Beside the damping curve ({between}), at equal damage: {curve.stands}, "
            f"{_with_reach(curve.difference, task)} {unit}, p {p_value(curve.p)}."
        )
    alone = "; ".join(
        f"{name} whole: gain {nats(one.gain.delta)}, damage {nats(one.damage.delta)}"
        for name, one in zip(tune.donors, tune.donors_alone, strict=True)
    )
    costly = [one.layer for one in tune.layers if one.stands_out]
    out = f"damage stands out in layers {format_layers(costly)}" if costly else "no layer's damage stands out"
    lines.append(f"On the search part, {alone}; {out}.")
    answered = f", {tune.answers} of answers" if tune.answers else ""
    lines.append(
        f"{len(tune.candidates)} edits were searched; {tune.evaluations} evaluations of loss{answered} and "
        f"{tune.slopes} slopes in all."
    )
    return lines


def _on_task(asked: Asked, scored: Scored) -> str:
    change = _with_reach(Change(delta=scored.change, interval=scored.interval), True)
    return (
        f"On {asked.name} it has {decimal(scored.score)} of {asked.metric}, {change} beside the base, on "
        f"{asked.problems.get('report', 0)} problems."
    )


HOW_TO_READ = (
    "Gain: nats a token that the target loses; damage: nats a token that control text gains, of several the "
    "one that is harmed most. Edits were searched on the search part, chosen on the choice part, and are "
    "judged here on the report part, which shares no text with either. Rivals that are shapes have the "
    "weight that gained most on the choice part without more damage than the winner had there. p: the same "
    "problems under both edits, by the task's scores where a task judges (exact McNemar for right and "
    "wrong), corrected by Holm over the rivals; not shown is no proof of no difference."
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


def _amount(value: float, of_task: bool) -> str:
    return signed_decimal(value) if of_task else nats(value)


def _reach(ends: tuple[float, float] | None, of_task: bool) -> str:
    return NOTHING if ends is None else " to ".join(_amount(end, of_task) for end in ends)


def _with_reach(change: Change, of_task: bool = False) -> str:
    reach = f" ({_reach(change.interval, of_task)})" if change.interval is not None else ""
    return f"{_amount(change.delta, of_task)}{reach}"
