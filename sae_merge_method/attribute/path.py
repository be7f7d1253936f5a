"""The points on the way from base to donor, chosen until they say what the losses at its pieces' ends say."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.attribute.measure import AtPoint, Measurements, Point
from sae_merge_method.statistics.paths import (
    Accuracy,
    Panel,
    accuracy,
    borders,
    first_panels,
    nodes,
    refined,
    weights,
)

Floats = npt.NDArray[np.float64]

FIRST_POINTS = len(nodes(first_panels()))
"""Points that every path begins with."""


class PathGain(NamedTuple):
    """What a text gains along the whole path."""

    tensors: Floats
    """(G, tensors) nats gained, by group."""
    base: Floats
    """(G,) nats at the base."""
    donor: Floats
    """(G,) nats at the donor."""
    points: tuple[float, ...]
    """Where slopes were taken, ascending."""
    missed: float
    """What they miss of the change of the loss, piece by piece, as a share of it."""


def path_gains(
    measurements: Measurements, texts: Sequence[int], tolerance: float, most_points: int
) -> dict[int, PathGain]:
    """Integrate the slopes of all texts along the path; texts that need more points are given them.

    Args:
        measurements: Made where they are missing.
        texts: Numbers of the texts.
        tolerance: What may be missing, as a share of the change of the loss.
        most_points: Points for each text, at most.
    """
    panels = dict.fromkeys(texts, first_panels())
    while True:
        points = [point for text in texts for point in _wanted(text, panels[text])]
        measured = measurements.make(points)
        reached = {text: _reached(text, panels[text], measured) for text in texts}
        finer = {
            text: refined(panels[text], reached[text], tolerance, most_points // 2)
            if reached[text].share > tolerance
            else panels[text]
            for text in texts
        }
        if finer == panels:
            return {text: _gain(text, panels[text], measured, reached[text].share) for text in texts}
        panels = finer


def _wanted(text: int, panels: Sequence[Panel]) -> list[Point]:
    ends = [_at_border(text, end) for end in borders(panels)]
    return ends + [Point(text, "slope", node) for node in nodes(panels)]


def _at_border(text: int, end: float) -> Point:
    # At the base the slope is wanted anyway: it is the first order.
    return Point(text, "slope" if end == 0 else "loss", end)


def _reached(text: int, panels: Sequence[Panel], measured: Mapping[Point, AtPoint]) -> Accuracy:
    losses = {end: float(measured[_at_border(text, end)].losses.sum()) for end in borders(panels)}
    slopes = {node: float(measured[Point(text, "slope", node)].slopes.sum()) for node in nodes(panels)}
    return accuracy(panels, losses, slopes)


def _gain(text: int, panels: Sequence[Panel], measured: Mapping[Point, AtPoint], missed: float) -> PathGain:
    of_nodes = weights(panels)
    total = np.sum(
        [-weight * measured[Point(text, "slope", node)].slopes for node, weight in of_nodes.items()], axis=0
    )
    base, donor = (measured[_at_border(text, end)].losses for end in (0.0, 1.0))
    return PathGain(total, base, donor, nodes(panels), missed)
