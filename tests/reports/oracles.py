"""What a text does in the place it is shown in, found by other means than those that made it safe.

Each oracle gives the structure of what was drawn: two drawings that differ in names alone have the same.
"""

import csv
import io
import json
import re
import unicodedata
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import yaml
from markdown_it import MarkdownIt


def _steers_nothing(text: str) -> None:
    """No control, no override of direction, nothing of no width, no half of a character."""
    for char in text:
        assert char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"), (
            f"{char!r} in {text!r}"
        )


def terminal(text: str) -> Any:
    """How many lines."""
    _steers_nothing(text)
    return text.count("\n")


def wrapped(text: str) -> Any:
    """Of text that is broken into lines by its length: nothing but that it steers nothing."""
    _steers_nothing(text)


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[Any] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, [name for name, _ in attrs]))
        for name, value in attrs:
            if name == "href":
                assert value and urlsplit(value).netloc == "www.neuronpedia.org"

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(tag)

    def handle_comment(self, data: str) -> None:
        self.seen.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.seen.append(decl)

    def handle_pi(self, data: str) -> None:
        self.seen.append("instruction")


def html(text: str) -> Any:
    """Its tags, and their attributes' names."""
    _steers_nothing(text)
    return _Tags(text).seen


_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def markdown(text: str) -> Any:
    """Its blocks, and what is in them beside text; formulas and addresses, which only some readers know."""
    _steers_nothing(text.replace("\t", " "))  # what is fenced keeps its tabs
    seen: list[Any] = []
    for token in _MARKDOWN.parse(text):
        seen.append((token.type, token.info))
        for inside in token.children or ():
            if inside.type == "text":
                continue
            seen.append((inside.type, inside.tag))
        if token.type == "inline":
            bare = token.content
            for inside in token.children or ():
                bare = bare.replace(inside.content, "", 1) if inside.type == "code_inline" else bare
            bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", bare)
            bare = re.sub(r"\]\([^)]*\)", "]", bare)  # where a link of ours leads
            seen.append((bare.count("$"), len(re.findall(r"https?://|www\.", bare))))
    return seen


def csv_file(text: str) -> Any:
    """How many fields in each row; none begins as a formula does, unless it is a number."""
    _steers_nothing(text)
    rows = list(csv.reader(io.StringIO(text), strict=True))
    for field in (field for row in rows for field in row):
        if field[:1] in ("=", "+", "-", "@", "\t", "\r"):
            float(field)
    # A spreadsheet of another language takes semicolons for the separators.
    for row in csv.reader(io.StringIO(text), delimiter=";", strict=False):
        assert all(field.lstrip('"')[:1] not in ("=", "@") for field in row)
    return [len(row) for row in rows]


_TYPESETS = {"textbackslash", "textless", "textgreater", "textbar", "textasciigrave", "symbol", "~", "^"}
_TEX = re.compile(r"\\([a-zA-Z]+|.)|(.)", re.DOTALL)


def latex(text: str) -> Any:
    """The commands and special characters that are more than typeset text, comments left out."""
    _steers_nothing(text)
    seen: list[str] = []
    for line in text.split("\n"):
        for match in _TEX.finditer(line):
            command, char = match.groups()
            if command == "\\":
                seen.append("row")
                # What follows the end of a row may be its arguments.
                assert line[match.end() :].strip() == ""
            elif command is not None:
                seen += [] if command in _TYPESETS or not command.isalpha() else [command]
            elif char == "%":
                break
            elif char in "&$#^_~":
                seen.append(char)
        assert not re.match(r"\s*[\[*]", line)
    return seen


def yaml_file(text: str) -> Any:
    """The value that is read, in place of which names stand."""
    _steers_nothing(text)
    return _shape(yaml.safe_load(text))


def json_file(text: str) -> Any:
    """Likewise."""
    _steers_nothing(text)
    return _shape(json.loads(text))


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [_shape(inside) for inside in value.values()]
    return [_shape(inside) for inside in value] if isinstance(value, list) else type(value)
