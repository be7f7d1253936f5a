"""A search's tables and sentences: terminal, Markdown and page show the same."""

from sae_merge_method.artifacts.tune import Change, Effect, SearchedEdit, Tune
from sae_merge_method.layers import format_layers
from sae_merge_method.reports.grid import NOTHING, Cell, Grid
from sae_merge_method.reports.notebook import View
from sae_merge_method.reports.numbers import nats, p_value

_UNDER_HEADER = frozenset((0,))
MOST_CANDIDATES = 40
"""Rows of the table of edits that were searched; the rest is in tune.json."""


def rival_grid(tune: Tune) -> Grid:
    """The winner and its rivals on the report part."""
    won = tune.winner.report
    nothing = Cell(NOTHING)
    rows = [(Cell("the winner", "the winner"), *_effect(won), nothing, nothing, nothing, Cell("", ""))]
    for one in tune.rivals:
        strong = one.winner_is in ("better", "worse")
        rows.append(
            (
                Cell(one.name, one.name),
                *_effect(one.report),
                Cell(nats(one.difference.delta), one.difference.delta, strong),
                Cell(_reach(one.difference)),
                Cell(p_value(one.p_adjusted) or NOTHING, one.p_adjusted),
                Cell(one.winner_is, one.winner_is),
            )
        )
    header = ("edit", "gain", "damage", "winner's gain less its", "interval", "Holm p", "the winner is")
    return Grid(
        header,
        tuple(rows),
        words=frozenset(("edit", "interval", "the winner is")),
        marked=frozenset((0,)),
        ruled=_UNDER_HEADER,
    )


def finalist_grid(tune: Tune) -> Grid:
    """The edits that the choice was among, by their gain there."""
    chosen = [one for one in tune.candidates if one.choice is not None]
    chosen.sort(key=lambda one: -(one.choice.gain.delta if one.choice else 0.0))
    won = tune.winner
    rows = tuple(
        (
            Cell(one.family, one.family),
            Cell(one.shape, one.shape),
            *_effect(one.search),
            *(_effect(one.choice) if one.choice is not None else ()),
        )
        for one in chosen
    )
    marked = {
        number
        for number, one in enumerate(chosen)
        if (one.family, one.shape) == (won.family, won.shape)
        and (one.weights == won.weights or won.scaled != 1)
    }
    header = ("family", "shape", "gain, search", "damage, search", "gain, choice", "damage, choice")
    return Grid(
        header, rows, words=frozenset(("family", "shape")), marked=frozenset(marked), ruled=_UNDER_HEADER
    )


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


def sentences(tune: Tune) -> list[str]:
    """What came of it, in plain words."""
    won, curve = tune.winner, tune.beside_curve
    smaller = f", made smaller by {won.scaled:.3g} to meet it" if won.scaled != 1 else ""
    kept = {
        "kept": "shown to be kept",
        "exceeded": "shown to be exceeded",
        "not shown": "neither shown kept nor exceeded",
    }
    lines = [
        f"The winner is {won.family} ({won.shape}){smaller}: on the report part it gains "
        f"{_with_reach(won.report.gain)} nats a token at a damage of {_with_reach(won.report.damage)} to "
        f"{won.report.control}.",
        f"The budget of {tune.budget:g} nats a token is {kept[won.budget]} there.",
        "Winner's curse: on the choice part, where it was the best, it gained "
        f"{nats(won.choice.gain.delta)}: {nats(won.curse)} beside the report part, where nothing was chosen.",
    ]
    between = f"all layers at {curve.low.weight:.4g} and {curve.high.weight:.4g}"
    if curve.difference is None or curve.p is None:
        lines.append(f"Beside the damping curve ({between}): not tested, {curve.reason}.")
    else:
        lines.append(
            f"Beside the damping curve ({between}), at equal damage: {curve.stands}, "
            f"{_with_reach(curve.difference)} nats a token, p {p_value(curve.p)}."
        )
    alone = "; ".join(
        f"{name} whole: gain {nats(one.gain.delta)}, damage {nats(one.damage.delta)}"
        for name, one in zip(tune.donors, tune.donors_alone, strict=True)
    )
    costly = [one.layer for one in tune.layers if one.stands_out]
    out = f"damage stands out in layers {format_layers(costly)}" if costly else "no layer's damage stands out"
    lines.append(f"On the search part, {alone}; {out}.")
    lines.append(
        f"{len(tune.candidates)} edits were searched; {tune.evaluations} evaluations and {tune.slopes} "
        "slopes in all."
    )
    return lines


HOW_TO_READ = (
    "Gain: nats a token that the target loses; damage: nats a token that control text gains, of several the "
    "one that is harmed most. Edits were searched on the search part, chosen on the choice part, and are "
    "judged here on the report part, which shares no text with either. Rivals that are shapes have the "
    "weight that gained most on the choice part without more damage than the winner had there. p: the same "
    "problems under both edits, corrected by Holm over the rivals; not shown is no proof of no difference."
)


def tune_view(tune: Tune) -> View:
    """A search as a notebook shows it."""
    return View((rival_grid(tune), finalist_grid(tune)), tail=tuple(sentences(tune)))


def _effect(effect: Effect) -> tuple[Cell, Cell]:
    gain, damage = effect.gain.delta, effect.damage.delta
    return Cell(nats(gain), gain), Cell(nats(damage), damage)


def _weights(one: SearchedEdit) -> str:
    values = sorted({weight for row in one.weights for weight in row if weight})
    if len(values) == 1:
        return f"{values[0]:.4g}"
    return f"{values[0]:.4g} to {values[-1]:.4g}" if values else NOTHING


def _reach(change: Change) -> str:
    return NOTHING if change.interval is None else " to ".join(map(nats, change.interval))


def _with_reach(change: Change) -> str:
    reach = f" ({_reach(change)})" if change.interval is not None else ""
    return f"{nats(change.delta)}{reach}"
