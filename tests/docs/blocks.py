"""The fenced blocks of README and manual, in the order in which they are read."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LANGUAGES = {"sh", "yaml", "python", "text"}
"""What a block can be: shell commands stand in ``sh`` alone, so that none is overlooked."""
MARKS = ("Needs ", "Takes ")
"""How the title of a block begins whose commands no test runs."""

_FENCE = re.compile(
    r"^ *```(?P<language>\S*)(?: (?P<info>[^\n]*))?\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """What stands between two fences."""

    page: str
    language: str
    title: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether it is of commands that a test runs."""
        return self.language == "sh" and not self.title


def pages() -> list[Path]:
    """README, then the manual's pages as its navigation has them, then those that stand in none."""
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    named = [DOCS / page for page in _leaves(nav)]
    return [ROOT / "README.md", *named, *sorted(set(DOCS.rglob("*.md")) - set(named))]


def _leaves(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from _leaves(part)


def blocks(language: str | None = None) -> list[Block]:
    """All blocks, or those of one language."""
    return [
        Block(
            page.relative_to(ROOT).as_posix(),
            fence["language"],
            (re.search(r'title="([^"]*)"', fence["info"] or "") or ["", ""])[1],
            fence["text"],
        )
        for page in pages()
        for fence in _FENCE.finditer(page.read_text(encoding="utf-8"))
        if language in (None, fence["language"])
    ]
