"""Text that came from elsewhere, made safe for each place it is shown in."""

import json

import pytest

from sae_merge_method.escape import (
    comment,
    csv_field,
    figure,
    json_text,
    latex,
    one_line,
    terminal,
    terminal_line,
)
from sae_merge_method.escape import html as html_text
from sae_merge_method.escape import markdown as markdown_text
from sae_merge_method.reports import html, markdown


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
    "plain",
    ["google/gemma-3-4b-it", "minerva_math_sae", "layers 9, 11-13", "0.25", "x (y)", "naïve 漢字", "a & b"],
)
@pytest.mark.parametrize("door", [terminal, terminal_line, comment, figure, markdown_text])
def test_plain_text_passes_unchanged(door, plain):
    assert door(plain) == plain


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+x", "'+x"), ("-x", "'-x"), ("\t=1", "'=1"), ("\r=1", "'=1"),
        ("-1.5", "-1.5"), ("+3.41", "+3.41"), ("-2e-05", "-2e-05"), ("-inf", "-inf"),
        ("a,b", '"a,b"'), ('say "x"', '"say ""x"""'), ("a;=1", '"a;\'=1"'), ("a\nb", "a b"), ("plain", "plain"),
    ],
)  # fmt: skip
def test_a_spreadsheet_calculates_nothing_and_numbers_stay_numbers(text, written):
    assert csv_field(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("_a_", r"\_a\_"), ("# a", r"\# a"), ("- a", r"\- a"), ("1. a", r"1\. a"), ("---", r"\---"),
        ("-1.5", "-1.5"), ("[a](b)", r"\[a\](b)"), ("http://a.b", r"http\://a.b"), ("www.a.b", r"www\.a.b"),
        ("$x$", r"\$x\$"), ("&lt;", r"\&lt;"), ("<b>", r"\<b\>"), ("a\n# b", "a # b"),
    ],
)  # fmt: skip
def test_markdown_has_no_markup_of_the_text(text, written):
    assert markdown_text(text) == written


def test_what_is_not_seen_is_shown_as_its_code_in_every_door():
    text = "a\x1b\u202e\u200b\U000e0041\ud800b"
    code = r"a\x1b\u202e\u200b\U000e0041\ud800b"
    assert terminal(text) == terminal_line(text) == comment(text) == figure(text) == html_text(text) == code
    assert terminal("a\nb") == "a\nb" and terminal_line("a\nb") == r"a\nb"
    assert terminal("a\xa0b\u3000c") == "a\xa0b\u3000c"


def test_json_keeps_its_value_and_prints_safely():
    value = ["\x7f\x9b\u202e\U000e0041\ud800", "é漢"]
    text = json_text(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert text == r'["\u007f\u009b\u202e\udb40\udc41\ud800", "é漢"]'


def test_a_dollar_in_a_picture_is_a_dollar():
    assert figure("$x$") == r"\$x\$"


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
