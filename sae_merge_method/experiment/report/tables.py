"""The report's tables, cell by cell: terminal, Markdown and page show the same."""

import textwrap
from collections.abc import Sequence

from sae_merge_method.artifacts.energy_report import Energy
from sae_merge_method.artifacts.experiment import Experiment, MeasuredArm, Score
from sae_merge_method.escape import terminal
from sae_merge_method.experiment.report.claims import conclusion_lines
from sae_merge_method.experiment.report.measure import any_answered, gain, is_share
from sae_merge_method.layers import format_layers, layers_of
from sae_merge_method.reports.grid import NOTHING, Cell, Grid, as_text
from sae_merge_method.reports.notebook import View
from sae_merge_method.reports.numbers import (
    change,
    decimal,
    interval,
    nats,
    p_value,
    percent,
    signed,
    squared_norm,
)
from sae_merge_method.reports.numbers import score as shown

_WIDTH = 110
_UNDER_HEADER = frozenset((0,))


def arm_grid(experiment: Experiment) -> Grid:
    """Every arm but the single layers: what it gained, what it cost, what it put in."""
    arms = [arm for arm in experiment.arms if arm.role != "layer"]
    rows = tuple(
        (
            Cell(arm.name, arm.name),
            Cell(format_layers(arm.layers) or "none", format_layers(arm.layers) or "none"),
            *_measured(arm, experiment),
        )
        for arm in arms
    )
    return Grid(
        ("arm", "layers", *_measured_header(experiment)),
        rows,
        words=frozenset(("arm", "layers")),
        marked=_picks(arms),
        ruled=_UNDER_HEADER,
    )


def layer_grid(experiment: Experiment) -> Grid | None:
    """Every layer injected alone, beside its score; None without such arms."""
    arms = [arm for arm in experiment.arms if arm.role == "layer"]
    if not arms:
        return None
    rows = []
    for arm in arms:
        score = experiment.scores.get(arm.layers[0]) if arm.layers else None
        number = Cell(format_layers(arm.layers), float(min(layers_of(arm.layers), default=-1)))
        rows.append((number, _cell(decimal(score), score), *_measured(arm, experiment)))
    return Grid(
        ("layer", experiment.score, *_measured_header(experiment)),
        tuple(rows),
        marked=frozenset(
            number
            for number, arm in enumerate(arms)
            if arm.layers and set(arm.layers) <= set(experiment.layers)
        ),
        ruled=_UNDER_HEADER,
    )


def curve_grid(experiment: Experiment) -> Grid | None:
    """Every other arm beside the damping curve, at its own damage; None without a curve."""
    curve = experiment.damping_curve
    if curve is None or not curve.standings:
        return None
    share, rows = is_share(experiment), []
    by_name = {arm.name: arm for arm in experiment.arms}
    for one in curve.standings:
        arm = by_name[one.arm]
        own = gain(arm, experiment.higher_is_better)
        there = None if one.delta is None else own - one.delta
        reach = NOTHING if one.interval is None else interval(*one.interval, share)
        strong = one.stands in ("above", "below")
        rows.append(
            (
                Cell(one.arm, one.arm),
                Cell(nats(arm.damage), arm.damage),
                Cell(change(own, share), own),
                _cell(change(there, share), there),
                _cell(change(one.delta, share), one.delta)._replace(strong=strong),
                Cell(reach),
                _cell(p_value(one.p_adjusted), one.p_adjusted),
                Cell(one.stands, one.stands),
            )
        )
    header = ("arm", "damage", "gain", "the curve's", "difference", "interval", "Holm p", "beside the curve")
    arms = [by_name[one.arm] for one in curve.standings]
    return Grid(
        header,
        tuple(rows),
        words=frozenset(("arm", "interval", "beside the curve")),
        marked=_picks(arms),
        ruled=_UNDER_HEADER,
    )


def subject_grid(experiment: Experiment) -> Grid:
    """The paper's z of every subject under every arm; the base's own scores in its row."""
    base, *others = experiment.arms
    tasks = [score.task for score in base.subjects]
    share = is_share(experiment)
    rows = [(Cell(base.name, base.name), *(Cell(shown(one.score, share)) for one in base.subjects))]
    for arm in others:
        scores = {score.task: score for score in arm.subjects}
        cells = (_z_cell(scores.get(task), experiment.alpha) for task in tasks)
        rows.append((Cell(arm.name, arm.name), *cells))
    return Grid(
        ("arm", *short_names(tasks)), tuple(rows), words=frozenset(("arm",)), marked=_picks(experiment.arms)
    )


def projection_grid(kept: Energy) -> Grid:
    """What the features' span keeps of the task vector, and what chance would."""
    cells = (
        _cell(percent(kept.kept), kept.kept),
        _cell(percent(kept.chance), kept.chance),
        _cell(decimal(kept.ratio, 2), kept.ratio),
        *(
            Cell(f"{percent(one.low)} to {percent(one.high)}" if one else NOTHING)
            for one in (kept.random, kept.others)
        ),
    )
    return Grid(("kept", "chance", "ratio", "random subspaces", "other features"), (cells,))


def short_names(tasks: Sequence[str]) -> tuple[str, ...]:
    """Names of tasks without the words that all of them begin with."""
    split = [name.split("_") for name in tasks]
    same = 0
    if len(split) > 1:
        shortest = min(map(len, split)) - 1
        while same < shortest and len({words[same] for words in split}) == 1:
            same += 1
    return tuple(" ".join(words[same:]) for words in split)


def as_table(experiment: Experiment) -> str:
    """Arms, single layers where there are any, and what the numbers support; a final newline."""
    blocks = [as_text(arm_grid(experiment))]
    layers = layer_grid(experiment)
    if layers is not None:
        blocks.append(as_text(layers))
    if experiment.missing:
        blocks.append(wrapped(f"Not done: {', '.join(experiment.missing)}", indent=""))
    blocks.append("\n".join(wrapped(f"- {line}", indent="  ") for line in conclusion_lines(experiment)))
    return "\n\n".join(blocks) + "\n"


def experiment_view(experiment: Experiment) -> View:
    """An experiment as a notebook shows it."""
    layers = layer_grid(experiment)
    missing = (f"Not done: {', '.join(experiment.missing)}",) if experiment.missing else ()
    return View(
        (arm_grid(experiment), *([layers] if layers else [])),
        tail=(*missing, *(f"- {line}" for line in conclusion_lines(experiment))),
    )


def wrapped(line: str, indent: str) -> str:
    """A line of text as a terminal shows it, with further lines indented."""
    return textwrap.fill(
        terminal(line), _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _picks(arms: Sequence[MeasuredArm]) -> frozenset[int]:
    return frozenset(number for number, arm in enumerate(arms) if arm.role == "selected")


def _measured_header(experiment: Experiment) -> tuple[str, ...]:
    metric = experiment.metric.partition(",")[0]
    general = ("general loss", "damage", "damage t") if experiment.corpus is not None else ()
    answered = ("answered",) if any_answered(experiment) else ()
    return (metric, *answered, "delta", "p", "paper's z", *general, "energy", "share")


def _measured(arm: MeasuredArm, experiment: Experiment) -> tuple[Cell, ...]:
    whole, share = arm.overall, is_share(experiment)
    is_base = whole.delta is None
    p = Cell("") if is_base else _cell(p_value(whole.p), whole.p)
    return (
        Cell(shown(whole.score, share), whole.score),
        *((_cell(shown(arm.answered, True), arm.answered),) if any_answered(experiment) else ()),
        Cell(change(whole.delta, share), whole.delta),
        p._replace(strong=whole.p is not None and whole.p < experiment.alpha),
        Cell("") if is_base else _cell(signed(whole.paper_z), whole.paper_z),
        *(_general(arm, experiment.alpha) if experiment.corpus is not None else ()),
        Cell(squared_norm(arm.energy), arm.energy),
        Cell(f"{arm.share:.1%}", arm.share),
    )


def _general(arm: MeasuredArm, alpha: float) -> tuple[Cell, ...]:
    loss = arm.general
    if loss is None:
        return (Cell(NOTHING), Cell(NOTHING), Cell(NOTHING))
    level = Cell(decimal(loss.nats, 3), loss.nats)
    if loss.delta is None:
        return (level, Cell(""), Cell(""))
    t = _cell(signed(loss.t), loss.t)._replace(strong=loss.p is not None and loss.p < alpha)
    return (level, Cell(nats(loss.delta), loss.delta), t)


def _z_cell(score: Score | None, alpha: float) -> Cell:
    if score is None or score.paper_z is None:
        return Cell(NOTHING)
    p = score.p_adjusted
    return Cell(signed(score.paper_z), score.paper_z, p is not None and p < alpha)


def _cell(text: str, value: float | None) -> Cell:
    """A number, or the sign that there is none."""
    return Cell(text or NOTHING, value)
