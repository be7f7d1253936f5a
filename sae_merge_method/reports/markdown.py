"""Small pieces of Markdown; text that came from elsewhere can neither break a table nor become HTML."""

import re
from collections.abc import Sequence

from sae_merge_method.escape import comment, markdown, terminal


def plain(text: str) -> str:
    """One line of text, shown as it is."""
    return markdown(text)


def code(text: str) -> str:
    """One line of code, for text outside tables; whatever backticks are in it."""
    line = comment(text)
    ticks = "`" * (1 + _longest_run(line))
    # A backtick at an end would lengthen the mark; a space at both ends is taken off again.
    padded = f" {line} " if line.startswith("`") or line.endswith("`") or not line else line
    return f"{ticks}{padded}{ticks}"


def fence(text: str, language: str = "") -> str:
    """Lines of code as they are, between marks longer than any run of backticks in them."""
    marks = "`" * max(3, 1 + _longest_run(text))
    lines = text.replace("\r\n", "\n")
    shown = "\t".join(map(terminal, lines.split("\t")))
    return f"{marks}{language}\n{shown}\n{marks}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def section(title: str, *paragraphs: str) -> str:
    """A second-level section of paragraphs; empty ones are left out."""
    return "\n\n".join([f"## {title}", *(paragraph for paragraph in paragraphs if paragraph)])


def bullets(lines: Sequence[str]) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)
