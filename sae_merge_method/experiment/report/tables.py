"""The report's tables, cell by cell: terminal, Markdown and page show the same."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.artifacts.energy_report import Energy
from sae_merge_method.artifacts.experiment import Arm, Experiment, Score
from sae_merge_method.experiment.report.claims import conclusion_lines
from sae_merge_method.experiment.report.measure import is_share
from sae_merge_method.layers import format_layers
from sae_merge_method.reports.numbers import change, nats, p_value
from sae_merge_method.reports.numbers import score as shown

NOTHING = "-"


class Cell(NamedTuple):
    """One number or word."""

    text: str
    value: float | str | None = None
    """Unrounded, to sort and to colour by."""
    strong: bool = False
    """Whether its test is significant, among subjects after Holm."""


class Grid(NamedTuple):
    """A table."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    text: tuple[str, ...]
    """Headings of the columns that stand left."""
    marked: frozenset[int]
    """Rows of the pick, or of its layers."""


def arm_grid(experiment: Experiment) -> Grid:
    """Every arm but the single layers: what it gained, what it cost, what it put in."""
    arms = [arm for arm in experiment.arms if arm.role != "layer"]
    share, alpha = is_share(experiment), experiment.alpha
    header = ("arm", "layers", *_measured_header(experiment))
    rows = tuple(
        (
            Cell(arm.name, arm.name),
            Cell(format_layers(arm.layers) or "none", format_layers(arm.layers) or "none"),
            *_measured(arm, share, alpha, experiment.corpus is not None),
        )
        for arm in arms
    )
    marked = frozenset(place for place, arm in enumerate(arms) if arm.role == "pick")
    return Grid(header, rows, ("arm", "layers"), marked)


def layer_grid(experiment: Experiment) -> Grid | None:
    """Every layer injected alone, beside its specificity; None without such arms."""
    arms = [arm for arm in experiment.arms if arm.role == "layer"]
    if not arms:
        return None
    share, alpha = is_share(experiment), experiment.alpha
    rows = []
    for arm in arms:
        specificity = experiment.scores.get(arm.layers[0]) if arm.layers else None
        rows.append(
            (
                Cell(format_layers(arm.layers), float(min(arm.layers, default=-1))),
                Cell(NOTHING if specificity is None else f"{specificity:.4f}", specificity),
                *_measured(arm, share, alpha, experiment.corpus is not None),
            )
        )
    header = ("layer", experiment.score, *_measured_header(experiment))
    marked = frozenset(
        place for place, arm in enumerate(arms) if arm.layers and set(arm.layers) <= set(experiment.layers)
    )
    return Grid(header, tuple(rows), (), marked)


def subject_grid(experiment: Experiment) -> Grid:
    """The z of every subject under every arm; the base's own scores in its row."""
    base, *others = experiment.arms
    tasks = [score.task for score in base.subjects]
    share = is_share(experiment)
    rows = [(Cell(base.name, base.name), *(Cell(shown(one.score, share)) for one in base.subjects))]
    for arm in others:
        scores = {score.task: score for score in arm.subjects}
        cells = (_z_cell(scores.get(task), experiment.alpha, among_subjects=True) for task in tasks)
        rows.append((Cell(arm.name, arm.name), *cells))
    marked = frozenset(place for place, arm in enumerate(experiment.arms) if arm.role == "pick")
    return Grid(("arm", *short_names(tasks)), tuple(rows), ("arm",), marked)


def projection_grid(found: Energy) -> Grid:
    """What the features' span keeps of the task vector, and what chance would."""
    drawn = found.random
    cells = (
        _percent(found.kept),
        _percent(found.chance),
        Cell(NOTHING if found.ratio is None else f"{found.ratio:.2f}", found.ratio),
        Cell(f"{drawn.low:.2%} to {drawn.high:.2%}" if drawn else NOTHING),
    )
    return Grid(("kept", "chance, r/d", "ratio", "random subspaces"), (cells,), (), frozenset())


def short_names(tasks: Sequence[str]) -> tuple[str, ...]:
    """Names of tasks without the words that all of them begin with."""
    split = [name.split("_") for name in tasks]
    same = 0
    if len(split) > 1:
        shortest = min(map(len, split)) - 1
        while same < shortest and len({words[same] for words in split}) == 1:
            same += 1
    return tuple(" ".join(words[same:]) for words in split)


def _measured_header(experiment: Experiment) -> tuple[str, ...]:
    metric = experiment.metric.partition(",")[0]
    general = ("general loss", "damage", "damage z") if experiment.corpus is not None else ()
    return (metric, "delta", "z", "p", *general, "energy", "share")


def _measured(arm: Arm, share: bool, alpha: float, with_general: bool) -> tuple[Cell, ...]:
    whole = arm.overall
    delta = Cell("") if whole.delta is None else Cell(change(whole.delta, share), whole.delta)
    return (
        Cell(shown(whole.score, share), whole.score),
        delta,
        _z_cell(whole, alpha, among_subjects=False) if whole.delta is not None else Cell(""),
        Cell("" if whole.p is None else p_value(whole.p), whole.p),
        *(_general(arm, alpha) if with_general else ()),
        Cell(f"{arm.energy:#.3g}" if arm.energy else "0", arm.energy),
        Cell(f"{arm.share:.1%}", arm.share),
    )


def _general(arm: Arm, alpha: float) -> tuple[Cell, ...]:
    found = arm.general
    if found is None:
        return (Cell(NOTHING), Cell(NOTHING), Cell(NOTHING))
    if found.delta is None:
        return (Cell(f"{found.nats:.3f}", found.nats), Cell(""), Cell(""))
    significant = found.p is not None and found.p < alpha
    return (
        Cell(f"{found.nats:.3f}", found.nats),
        Cell(nats(found.delta), found.delta),
        Cell(NOTHING if found.z is None else f"{found.z:+.2f}", found.z, significant),
    )


def _z_cell(score: Score | None, alpha: float, *, among_subjects: bool) -> Cell:
    if score is None or score.z is None:
        return Cell(NOTHING)
    p = score.p_adjusted if among_subjects else score.p
    return Cell(f"{score.z:+.2f}", score.z, p is not None and p < alpha)


def _percent(value: float | None) -> Cell:
    return Cell(NOTHING if value is None else f"{value:.2%}", value)


_WIDTH = 110


def as_table(experiment: Experiment) -> str:
    """Arms, single layers where there are any, and what the numbers support; a final newline."""
    blocks = ["\n".join(_aligned(arm_grid(experiment)))]
    layers = layer_grid(experiment)
    if layers is not None:
        blocks.append("\n".join(_aligned(layers)))
    if experiment.missing:
        blocks.append(_wrapped(f"Not done: {', '.join(experiment.missing)}", indent=""))
    blocks.append("\n".join(_wrapped(f"- {line}", indent="  ") for line in conclusion_lines(experiment)))
    return "\n\n".join(blocks) + "\n"


def _aligned(grid: Grid) -> list[str]:
    """A row a line, the pick's with an asterisk; words stand left, numbers right."""
    cells = [grid.header]
    cells += [
        tuple(
            ("*" if row in grid.marked and not place else "") + cell.text for place, cell in enumerate(line)
        )
        for row, line in enumerate(grid.rows)
    ]
    widths = [max(len(line[place]) for line in cells) for place in range(len(grid.header))]
    left = [heading in grid.text for heading in grid.header]
    lines = [
        "  ".join(
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in cells
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _wrapped(line: str, indent: str) -> str:
    return textwrap.fill(
        line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
