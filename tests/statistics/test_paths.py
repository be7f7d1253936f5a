"""The integral along a path: right where the slope is steep, and honest about what it misses."""

import math

import pytest

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


def integral(panels, slope):
    return sum(weight * slope(node) for node, weight in weights(panels).items())


def held(panels, loss, slope):
    return accuracy(
        panels, {end: loss(end) for end in borders(panels)}, {node: slope(node) for node in nodes(panels)}
    )


def test_panels_are_short_where_the_path_begins_and_cover_it():
    assert borders(first_panels()) == (0, 1 / 16, 1 / 4, 9 / 16, 1)


def test_a_cubic_slope_is_integrated_exactly():
    assert integral(first_panels(), lambda s: 4 * s**3) == pytest.approx(1)


def test_a_loss_that_falls_steeply_at_first_is_integrated_with_the_first_points():
    def loss(s):
        return 0.1 + 1.8 * math.exp(-s / 0.1)

    panels = first_panels()
    reached = held(panels, loss, lambda s: -18 * math.exp(-s / 0.1))
    assert reached.share < 0.01
    assert reached.scale == pytest.approx(loss(0) - loss(1))


def test_a_panel_that_misses_what_its_ends_say_is_halved_until_nothing_is_missing():
    def slope(s):
        return -200 * math.exp(-s / 0.005)

    def loss(s):
        return math.exp(-s / 0.005)

    panels, tolerance = first_panels(), 0.02
    before = held(panels, loss, slope)
    assert before.share > tolerance
    rounds = 0
    while (reached := held(panels, loss, slope)).share > tolerance:
        panels = refined(panels, reached, tolerance, 100)
        rounds += 1
    assert rounds <= 4
    assert len(panels) <= 12
    assert Panel(9 / 16, 1) in panels  # where nothing happens no point is spent
    assert integral(panels, slope) == pytest.approx(-1, rel=tolerance)


def test_no_more_panels_are_made_than_are_allowed_and_the_worst_come_first():
    panels = first_panels()
    missing = dict(zip(panels, (0.1, -0.3, 0.2, 0.0), strict=True))
    finer = refined(panels, Accuracy(missing, 1.0), 0.02, most=5)
    assert finer == (panels[0], *panels[1].halves(), *panels[2:])
    assert refined(finer, Accuracy(dict.fromkeys(finer, 1.0), 1.0), 0.02, most=5) == finer


def test_where_the_loss_comes_back_what_is_missing_is_held_against_what_it_moves():
    reached = held(first_panels(), lambda s: s * (1 - s), lambda s: 1 - 2 * s)
    assert reached.scale > 0.1  # though from end to end it does not move
    assert reached.share == pytest.approx(0, abs=1e-12)


def test_what_a_float_leaves_of_no_change_is_none():
    panels = first_panels()
    losses = {end: 3.5 + 1e-7 * nth for nth, end in enumerate(borders(panels))}
    slopes = dict.fromkeys(nodes(panels), 1e-5)
    assert accuracy(panels, losses, slopes).share == 0
    losses = {end: 3.5 + 1e-4 * nth for nth, end in enumerate(borders(panels))}
    assert accuracy(panels, losses, slopes).share > 0.9


def test_a_path_on_which_nothing_moves_misses_nothing():
    reached = held(first_panels(), lambda _: 2.0, lambda _: 0.0)
    assert reached.share == 0
