"""Figures are the same bytes each time."""

import pytest

from sae_merge_method.reports.figure import layer_axes, layer_width, new_figure, picture

pytestmark = pytest.mark.usefixtures("whole_pictures")


def _drawn(form):
    figure = new_figure(4, 3)
    layer_axes(figure, "bits", "a title").bar([0, 1, 2], [1, 3, 2])
    return picture(figure, form)


@pytest.mark.parametrize(("form", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_same_figure_is_the_same_bytes(form, begins):
    first = _drawn(form)
    assert first.startswith(begins)
    assert first == _drawn(form)


def test_a_figure_has_no_date_and_no_program_in_it():
    assert b"Software" not in _drawn("png")
    assert b"<dc:date>" not in _drawn("svg")


def test_many_layers_side_by_side_need_more_room_and_few_no_less():
    assert layer_width(4) == layer_width(16) == 6.4
    assert layer_width(34) == pytest.approx(2.4 + 0.24 * 34)
