"""What came of a search, in sentences: terminal, Markdown and page say the same."""

from sae_merge_method.artifacts.tune import Asked, Tune
from sae_merge_method.artifacts.tuned_edits import Change, Effect, Scored
from sae_merge_method.layers import format_layers
from sae_merge_method.reports.grid import NOTHING
from sae_merge_method.reports.numbers import decimal, nats, p_value, signed_decimal

_KEPT = {
    "kept": "shown to be kept",
    "exceeded": "shown to be exceeded",
    "not shown": "neither shown kept nor exceeded",
}


def sentences(tune: Tune) -> list[str]:
    """What came of it, in plain words."""
    won, task = tune.winner, tune.task is not None
    smaller = f", made smaller by {won.scaled:.3g} to meet it" if won.scaled != 1 else ""
    lines = [
        f"The winner is {won.family} ({won.shape}){smaller}: on the report part it gains "
        f"{_with_reach(won.report.gain)} nats a token at a damage of {_with_reach(won.report.damage)} to "
        f"{won.report.control}.",
    ]
    if tune.task is not None and won.report.task is not None:
        lines.append(_on_task(tune.task, won.report.task))
    lines.append(_at_equal_gain(tune))
    lines.append(_at_equal_damage(tune))
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
        f"{amount(had, task)}: {amount(won.curse, task)} beside the report part, where nothing was chosen."
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


def _at_equal_gain(tune: Tune) -> str:
    """What it costs beside all layers that gain as much."""
    equal = tune.equal_gain
    won = _gained(tune.winner.report)
    most = max(equal.curve, key=lambda one: _gained(one.report))
    if _gained(most.report) < won and won > 0:
        return (
            "At equal gain: not tested, for no weight of all layers gains as much. The most is "
            f"{amount(_gained(most.report), tune.task is not None)} at weight {most.weight:.4g}, at a damage "
            f"of {nats(most.report.damage.delta)}."
        )
    if equal.weight is None or equal.damage is None or (equal.ratio is None and equal.difference is None):
        return f"At equal gain: not tested beside all layers, for {equal.reason}."
    at = f"all layers do at weight {equal.weight:.4g}, which is {nats(equal.damage)} nats a token"
    told = f"not tested, {equal.reason}"
    if equal.p is not None and equal.difference is not None:
        told = f"{equal.damages}, {_with_reach(equal.difference)} beside it, p {p_value(equal.p)}"
    if equal.ratio is None:
        return (
            f"At equal gain, beside the damage that {at}: {told}. Which share of it that is, is not told, "
            f"for {equal.reason}."
        )
    ends = equal.interval
    within = "" if ends is None else f" ({_ratio(ends[0])} to {_ratio(ends[1])})"
    return f"At equal gain it does {_ratio(equal.ratio)}{within} of the damage that {at}: {told}."


def _gained(effect: Effect) -> float:
    """More than the base, by what judges."""
    return effect.gain.delta if effect.task is None else effect.task.change


def _ratio(value: float) -> str:
    return decimal(value, 2)


def _at_equal_damage(tune: Tune) -> str:
    """What it gains beside all layers that damage as much."""
    curve, task = tune.beside_curve, tune.task
    between = f"all layers at {curve.low.weight:.4g} and {curve.high.weight:.4g}"
    if curve.through is not None:
        steep = f"as steep as between {curve.low.weight:.4g} and {curve.high.weight:.4g}"
        between = f"through all layers at {curve.through.weight:.4g}, {steep}"
    if curve.difference is None or curve.p is None:
        return f"At equal damage, beside the damping curve ({between}): not tested, {curve.reason}."
    unit = task.metric if task is not None else "nats a token"
    beside = f"{_with_reach(curve.difference, task is not None)} {unit}"
    if curve.share is None:
        asked = "that were measured" if task is None else f"at which {task.name} was asked"
        return (
            f"Beside the damping curve, at whatever damage: {curve.stands}, {beside} beside the nearest of "
            f"all weights {asked}, {curve.low.weight:.4g}, p {p_value(curve.p)}."
        )
    return (
        f"At equal damage, beside the damping curve ({between}): {curve.stands}, {beside}, "
        f"p {p_value(curve.p)}."
    )


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


def amount(value: float, of_task: bool) -> str:
    """A difference of task scores, or of losses."""
    return signed_decimal(value) if of_task else nats(value)


def reach(ends: tuple[float, float] | None, of_task: bool) -> str:
    """Where it lies; a dash where nobody knows."""
    return NOTHING if ends is None else " to ".join(amount(end, of_task) for end in ends)


def _with_reach(change: Change, of_task: bool = False) -> str:
    told = f" ({reach(change.interval, of_task)})" if change.interval is not None else ""
    return f"{amount(change.delta, of_task)}{told}"
