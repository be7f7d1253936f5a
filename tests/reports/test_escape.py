"""Text that came from elsewhere, made safe for each place it is shown in."""

import pytest

from sae_merge_method.reports import html, markdown
from sae_merge_method.reports.escape import latex, one_line, terminal


def test_text_on_one_line_has_single_spaces():
    assert one_line(" a\n\tb  c\r\n") == "a b c"


@pytest.mark.parametrize(
    ("char", "typeset"),
    [
        *((c, f"\\{c}") for c in "&%$#_{}"),
        ("~", r"\~{}"),
        ("^", r"\^{}"),
        ("<", r"\textless{}"),
        (">", r"\textgreater{}"),
        ("|", r"\textbar{}"),
    ],
)
def test_latex_typesets_its_own_characters(char, typeset):
    assert latex(f"a{char}b") == f"a{typeset}b"


def test_a_backslash_is_typeset_once():
    assert latex("a\\b_c") == r"a\textbackslash{}b\_c"


def test_a_control_character_is_shown_and_not_sent_to_the_terminal():
    assert terminal("a\x1b[2Jb\nc\u009bd\x07é") == "a\\x1b[2Jb\nc\\x9bd\\x07é"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a_b", "`a_b`"),
        ("a`b|c\nd", "``a`b|c d``"),
        ("``", "``` `` ```"),
        ("x\x1b[2J", r"`x\x1b[2J`"),
        ("", "`  `"),
    ],
)
def test_code_in_markdown_ends_where_it_should(text, written):
    assert markdown.code(text) == written


def test_a_block_of_code_is_fenced_by_more_backticks_than_it_holds():
    assert markdown.fence("a: 1\r\n\tb", "yaml") == "```yaml\na: 1\n\tb\n```"
    assert markdown.fence("````\n<b>").splitlines() == ["`````", "````", "<b>", "`````"]


def test_a_page_escapes_its_title_and_needs_nothing_from_elsewhere():
    page = html.html_page("<a> & b", "<p>body</p>", style=".x { color: red; }")
    assert "<title>&lt;a&gt; &amp; b</title>" in page
    assert "<h1>&lt;a&gt; &amp; b</h1>\n<p>body</p>" in page
    assert ".x { color: red; }</style>" in page
    assert "http" not in page.replace("http-equiv", "")


def test_empty_paragraphs_leave_no_gap_in_a_section():
    assert markdown.section("Title", "one", "", "two") == "## Title\n\none\n\ntwo"
    assert markdown.bullets(["a", "b"]) == "- a\n- b"
