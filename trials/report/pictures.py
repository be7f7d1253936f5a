"""The pictures: every donor's damping curve with its arms, and scores beside what layers gain alone."""

from collections.abc import Sequence
from typing import Any

from sae_merge_method import escape
from sae_merge_method.reports.figure import BLUE, GREY, INK, PALE, RED, new_figure, picture
from trials.experiments import OWN_SCORE, TUNED
from trials.report.arms import ArmFigures, figures
from trials.report.layers import of_ability, own_damage, own_gain
from trials.report.read import DonorRun, Findings

_GREEN, _ORANGE = "#009E73", "#E69F00"
_LOOKS = {
    "selected": ("the specificity's pick", RED, "*", 90),
    "own": ("picks of other scores", _ORANGE, "P", 34),
    "random": ("random sets", GREY, "o", 18),
    "layers": ("chosen without a score", BLUE, "D", 22),
    "scalpel": ("scalpel and its twin", "#CC79A7", "v", 30),
    "donor": ("the donor itself", INK, "X", 34),
}
_COLUMNS = 3


def curves_picture(runs: Sequence[DonorRun]) -> bytes | None:
    """Exact answers gained against damage to prose, a donor a panel; None without an experiment."""
    shown = [run for run in runs if run.experiment is not None]
    if not shown:
        return None
    rows = -(-len(shown) // _COLUMNS)
    columns = min(_COLUMNS, len(shown))
    figure = new_figure(3.9 * columns, 3.3 * rows + 0.5)
    drawn: dict[str, Any] = {}
    for number, run in enumerate(shown, 1):
        axes = figure.add_subplot(rows, columns, number)
        axes.set_title(escape.figure(str(run.donor)), fontsize=10, color=INK)
        axes.axhline(0, color=INK, linewidth=0.5)
        arms = [one for one in figures(run) if one.damage is not None]
        _line(axes, [one for one in arms if _on_curve(one)], drawn)
        for one in arms:
            if not _on_curve(one):
                _point(axes, one, drawn)
        axes.set_xscale("symlog", linthresh=0.02)
        axes.set_xlabel("damage to prose, nats a token", fontsize=8)
        axes.set_ylabel("exact answers gained, points", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        list(drawn.values()),
        list(drawn),
        loc="outside lower center",
        ncols=min(4, 1 + columns),
        fontsize=8,
        frameon=False,
    )
    return picture(figure)


def _on_curve(one: ArmFigures) -> bool:
    return one.standing is None and one.arm.role in ("base", "amount")


def _line(axes: Any, curve: Sequence[ArmFigures], drawn: dict[str, Any]) -> None:
    points = sorted((one.damage.delta, 100 * one.gain) for one in curve if one.damage is not None)
    if points:
        (line,) = axes.plot(*zip(*points, strict=True), "^-", color=_GREEN, markersize=5, linewidth=1.2)
        drawn["all layers, damped"] = line


def _point(axes: Any, one: ArmFigures, drawn: dict[str, Any]) -> None:
    label, colour, marker, size = _LOOKS.get(one.arm.role, ("all layers but the last", _GREEN, "s", 16))
    if one.name == TUNED:
        label, colour, marker, size = "tuned", INK, "*", 110
    assert one.damage is not None
    drawn[label] = axes.scatter(
        one.damage.delta, 100 * one.gain, c=colour, marker=marker, s=size, zorder=3, linewidths=0
    )


def layers_picture(findings: Findings) -> bytes | None:
    """By layer: what it gains and damages alone under every donor, and the specificity of every ability."""
    probed = [run for run in findings.runs if own_gain(run) is not None]
    if not probed and not findings.diagnoses:
        return None
    figure = new_figure(10.5, 6.6)
    panels = (
        (
            "gain of the layer alone, nats a token of the answer",
            [(str(run.donor), own_gain(run)) for run in probed],
        ),
        (
            "damage of the layer alone, nats a token of prose",
            [(str(run.donor), own_damage(run)) for run in probed],
        ),
        (
            f"specificity ({OWN_SCORE})",
            [(ability, of_ability(findings, ability).get(OWN_SCORE)) for ability in findings.diagnoses],
        ),
    )
    colours = (BLUE, RED, _GREEN, _ORANGE, "#CC79A7", PALE)
    shown = [(title, lines) for title, lines in panels if lines]
    for number, (title, lines) in enumerate(shown, 1):
        axes = figure.add_subplot(len(shown), 1, number)
        axes.set_title(escape.figure(title), fontsize=9, color=INK)
        for nth, (name, values) in enumerate(lines):
            if values is not None:
                colour = colours[nth % len(colours)]
                axes.plot(
                    range(len(values)), values, ".-", color=colour, label=escape.figure(name), linewidth=1
                )
        axes.axhline(0, color=INK, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.set_xlabel("decoder layer", fontsize=8)
    return picture(figure)
