"""The integral of a slope along a path, taken with few points where it is steep: Gauss-Legendre on panels.

A loss along a task vector falls fast at first: on one real model from 1.88 to .84 nats within the first
tenth. So panels are equal in the root of the path's parameter, short near 0. The loss at a panel's ends says
what the integral over it is: a panel whose points do not reach that is halved, until all that is missing is a
small share of the whole. What has a slope, and how it is split among parts, is the caller's affair.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

_NODE = 1 / math.sqrt(3)
"""Of two points on [-1, 1], each of weight one: exact for cubics (Abramowitz & Stegun 1964, 25.4.30)."""
_NOISE = 1e-6
"""Relative to a loss, what float32 leaves of no change at all."""


class Panel(NamedTuple):
    """A piece of the path, from ``low`` to ``high``."""

    low: float
    high: float

    @property
    def nodes(self) -> tuple[float, float]:
        """Where the slope is asked for; each counts half the panel's length."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        return middle - _NODE * half, middle + _NODE * half

    @property
    def weight(self) -> float:
        """Of either node."""
        return (self.high - self.low) / 2

    def halves(self) -> "tuple[Panel, Panel]":
        """Two panels in its place, equal in the root of the parameter."""
        middle = ((math.sqrt(self.low) + math.sqrt(self.high)) / 2) ** 2
        return Panel(self.low, middle), Panel(middle, self.high)


def first_panels(count: int = 4) -> tuple[Panel, ...]:
    """[0, 1] in panels that are equal in the root: 0, 1/16, 1/4, 9/16, 1."""
    ends = [(nth / count) ** 2 for nth in range(count + 1)]
    return tuple(Panel(low, high) for low, high in pairwise(ends))


def borders(panels: Sequence[Panel]) -> tuple[float, ...]:
    """Ends of the panels, ascending, each once."""
    return tuple(sorted({end for panel in panels for end in panel}))


def nodes(panels: Sequence[Panel]) -> tuple[float, ...]:
    """Points of the panels, ascending."""
    return tuple(sorted(node for panel in panels for node in panel.nodes))


def weights(panels: Sequence[Panel]) -> dict[float, float]:
    """Of every node: the integral is the sum of slope times weight."""
    return {node: panel.weight for panel in panels for node in panel.nodes}


class Accuracy(NamedTuple):
    """How near the points come to what the ends say."""

    missing: Mapping[Panel, float]
    """By panel, what the loss changes less what the points make of it."""
    scale: float
    """What that is held against: what the loss moves in all. Where it only falls, or only rises, that is the
    whole change."""

    @property
    def share(self) -> float:
        """What is missing, panel by panel without regard to sign, of the scale; 0 where nothing moves."""
        return math.fsum(map(abs, self.missing.values())) / self.scale if self.scale > 0 else 0.0


def accuracy(
    panels: Sequence[Panel], losses: Mapping[float, float], slopes: Mapping[float, float]
) -> Accuracy:
    """Hold the integral over each panel against the change of the loss.

    Args:
        panels: The path.
        losses: At every border.
        slopes: ``d loss / d s`` at every node.
    """
    changes = {panel: losses[panel.high] - losses[panel.low] for panel in panels}
    missing = {
        panel: change - panel.weight * math.fsum(slopes[node] for node in panel.nodes)
        for panel, change in changes.items()
    }
    scale = math.fsum(map(abs, changes.values()))
    return Accuracy(missing, scale if scale > _NOISE * max(map(abs, losses.values())) else 0.0)


def refined(panels: Sequence[Panel], reached: Accuracy, tolerance: float, most: int) -> tuple[Panel, ...]:
    """The panels, those halved that miss more than their share; the same where none can be.

    Args:
        panels: The path.
        reached: What its points come to.
        tolerance: What may be missing in all, as a share of the scale.
        most: Panels, at most: the worst are halved first.
    """
    fair = tolerance * reached.scale / len(panels)
    ranked = sorted(panels, key=lambda panel: -abs(reached.missing[panel]))
    halved = [panel for panel in ranked if abs(reached.missing[panel]) > fair][: max(0, most - len(panels))]
    return tuple(part for panel in panels for part in (panel.halves() if panel in halved else (panel,)))
