"""The page: whole, safe, and coloured by sign."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sae_merge_method.artifacts.conclusions import Conclusion
from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.experiment.report.html import as_page, z_colour
from sae_merge_method.experiment.report.tables import subject_grid
from tests.experiment.report.folders import EVERY_KIND


class Page(HTMLParser):
    """Checks that tags close, and collects what the page loads and says."""

    void = frozenset(("meta", "br", "img"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.headings: list[str] = []
        self.colours: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [value for name in ("src", "href") if (value := found.get(name))]
        self.colours += [value for name, value in attrs if name == "style" and value]
        self.tags.append(tag)
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_the_page_is_whole_loads_nothing_and_begins_with_the_conclusions(folder: Path) -> None:
    text = (folder / "experiment.html").read_text()
    page = Page(text)
    assert page.open == []
    assert len(page.loads) == 1 and page.loads[0].startswith("data:image/png;base64,iVBOR")
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)
    assert page.headings[0] == "What the numbers support"
    assert page.headings[1:4] == ["Gain against cost", "Arms", "Subjects"]


def test_nothing_in_it_can_become_markup(experiment: Experiment) -> None:
    evil = "<script>alert(1)</script>|`x`"
    arms = [
        arm.model_copy(update={"name": evil, "description": evil, "notes": (evil,), "mismatches": (evil,)})
        for arm in experiment.arms
    ]
    claim = Conclusion(claim=evil, answer="yes", p=0.01, p_adjusted=0.01, evidence=evil)
    hostile = experiment.model_copy(
        update={"base": evil, "donor": '"><img src=x>', "select": evil, "metric": evil, "score": evil}
        | {"arms": tuple(arms), "conclusions": (claim,), "missing": (evil,), "evaluation": {evil: evil}}
    )
    page = Page(as_page(hostile, b""))
    assert page.tags.count("script") == 1 and page.tags.count("img") == 1


def test_every_z_of_every_subject_is_coloured_by_its_sign(folder: Path, experiment: Experiment) -> None:
    zs = [cell.value for row in subject_grid(experiment).rows for cell in row[1:] if cell.value is not None]
    page = Page((folder / "experiment.html").read_text())
    assert len(zs) == 2 * (len(EVERY_KIND) - 1)
    assert page.colours == [f"background: {z_colour(float(z))}" for z in zs]


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("z", [-9.0, -4.0, -1.0, 0.0, 1.0, 4.0, 9.0])
def test_dark_text_is_legible_on_every_colour_and_blue_and_orange_are_alike_in_grey(z: float) -> None:
    contrast = (luminance(z_colour(z)) + 0.05) / (luminance("#222222") + 0.05)
    assert contrast > 4.5
    assert luminance(z_colour(z)) == pytest.approx(luminance(z_colour(-z)), abs=0.02)
    red, blue = (int(z_colour(z)[i : i + 2], 16) for i in (1, 5))
    assert (blue > red) == (z > 0) and (red > blue) == (z < 0)
