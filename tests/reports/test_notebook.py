"""An artifact in a notebook is the table that its command prints."""

import sys

import pytest

import sae_merge_method as sm
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.reports.grid import as_html, as_text, plain_grid
from sae_merge_method.reports.notebook import VIEWS, View

GRID = plain_grid(("layer", "score"), [("3", "<0.5>")], words=("layer",))


class Shown(Record):
    """An artifact with a view."""

    score: float
    """Of layer 3."""


class NotShown(Record):
    """An artifact without one."""

    score: float
    """Of layer 3."""


def view(shown: Shown) -> View:
    return View((GRID._replace(title="a & b"),), head=(f"score {shown.score}",), tail=("x < y",))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(VIEWS, f"{__name__}:Shown", f"{__name__}:view")


def test_a_view_is_shown_as_html_with_nothing_unescaped():
    page = Shown(score=0.5)._repr_html_()
    assert as_html(GRID) in page
    for part in ("<p>score 0.5</p>", "<p><b>a &amp; b</b></p>", "<p>x &lt; y</p>"):
        assert part in page
    assert page.index("score 0.5") < page.index("<table>") < page.index("x &lt; y")


def test_printing_it_shows_the_same_as_text():
    assert str(Shown(score=0.5)) == f"score 0.5\n\na & b\n{as_text(GRID)}\n\nx < y"


def test_a_record_without_a_view_is_shown_as_any_other_object():
    record = NotShown(score=0.5)
    assert record._repr_html_() is None
    assert str(record) == "score=0.5"
    assert repr(record) == "NotShown(score=0.5)"


def test_nor_does_one_that_is_called_as_an_artifact_with_a_view_get_that_view():
    class Comparison(Record):
        score: float
        """Of layer 3."""

    for other in (Comparison, type("Shown", (Record,), {"__module__": "elsewhere"})):
        assert other.model_construct(score=0.5)._repr_html_() is None


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_is_of_an_artifact_that_is_offered_and_its_maker_is_there(name):
    home, _, kind = name.partition(":")
    assert issubclass(getattr(sm, kind), Record) and getattr(sm, kind).__module__ == home
    module, _, function = VIEWS[name].partition(":")
    __import__(module)
    assert callable(getattr(sys.modules[module], function))
