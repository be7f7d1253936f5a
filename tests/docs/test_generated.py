"""What pages hold of the code is what the code gives; links lead somewhere where pages are read as they lie."""

import re

import pytest

from tests.docs.blocks import DOCS, ROOT, pages

HELD = [page for page in pages() if "<!-- /generated -->" in page.read_text("utf-8")]
WHOLE = {"readme", "contributing", "changelog"}
"""Documents that stand elsewhere in the tree."""
SITE = {"door", "artifacts", "trials"}
"""What only the site shows."""
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def generated(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import generated

    return generated


@pytest.mark.parametrize("page", HELD, ids=lambda page: page.name)
def test_a_page_holds_what_the_code_gives(generated, page):
    held = page.read_text("utf-8")
    assert held == generated.filled(held, alone=False), "make tables writes it anew"


def test_every_table_stands_in_a_page_but_what_only_the_site_shows(generated):
    text = "\n".join(page.read_text("utf-8") for page in HELD)
    held = re.findall(r"<!-- generated: (\S+) -->\n\n.*?<!-- /generated -->", text, re.DOTALL)
    assert sorted(held) == sorted(generated.GENERATED.keys() - WHOLE - SITE)


def test_what_stands_between_two_marks_is_replaced_and_a_mark_alone_waits_for_the_site(
    generated, monkeypatch
):
    monkeypatch.setattr(generated, "GENERATED", {"new": lambda: "| it |"})
    page = "# A\n\n<!-- generated: new -->\nold\n<!-- /generated -->\n\n<!-- generated: new -->\n"
    now = "# A\n\n<!-- generated: new -->\n\n| it |\n\n<!-- /generated -->\n\n"
    assert generated.filled(page, alone=False) == f"{now}<!-- generated: new -->\n"
    assert generated.filled(page, alone=True) == f"{now}| it |\n"
    with pytest.raises(LookupError, match="'other' is not made: expected one of new"):
        generated.filled("<!-- generated: other -->\n", alone=False)


def test_pages_that_hold_something_else_are_named_and_written(generated, monkeypatch, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("<!-- generated: rules -->\nold\n<!-- /generated -->\n")
    monkeypatch.setattr(generated, "ROOT", tmp_path)
    monkeypatch.setattr(generated, "DOCS", tmp_path)
    assert generated.main([]) == 1
    assert capsys.readouterr().out == "page.md is not what the code gives\n"
    assert generated.main(["--write"]) == 0
    assert generated.main([]) == 0
    assert "`elbow`" in page.read_text()


def _places(page):
    """The anchors of a page that is read as it lies: its headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", _FENCED.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_link_leads_somewhere_where_a_page_is_read_as_it_lies(page):
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", _FENCED.sub("", page.read_text("utf-8"))):
        file, _, place = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not place or place in _places(target), link
