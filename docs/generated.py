"""The marked places of the manual, filled by what ``makers`` makes from the code.

A page marks the place by one of the names of :data:`GENERATED`. Between two marks,
``<!-- generated: scores -->`` and ``<!-- /generated -->``, the file itself holds what is made, for those who
read it as it lies: ``python docs/generated.py --write`` puts it there (``make tables``), and without
``--write`` says which pages hold something else. A mark alone is filled as the site is built, by
``site_hooks``: whole documents that stand elsewhere in the tree, what only the site's own plugins show, and
what is too long for a page of the tree.
"""

import re
import sys
from pathlib import Path

from makers import GENERATED, ROOT

DOCS = ROOT / "docs"
_END = "<!-- /generated -->"
_MARK = re.compile(
    rf"^<!-- generated: (?P<name>[a-z-]+) -->$(?P<held>\n(?:(?!<!-- generated:).*\n)*?{re.escape(_END)}$)?",
    re.MULTILINE,
)


def filled(markdown: str, *, alone: bool) -> str:
    """A page with what the code gives between its marks.

    Args:
        markdown: The page.
        alone: Whether marks without an end are filled, too, as for the site.

    Raises:
        LookupError: A mark names nothing that is made.
    """

    def made(mark: re.Match[str]) -> str:
        if mark["name"] not in GENERATED:
            raise LookupError(f"{mark['name']!r} is not made: expected one of {', '.join(GENERATED)}")
        if mark["held"]:
            return f"<!-- generated: {mark['name']} -->\n\n{GENERATED[mark['name']]()}\n\n{_END}"
        return GENERATED[mark["name"]]() if alone else mark[0]

    return _MARK.sub(made, markdown)


def pages() -> list[Path]:
    """The pages that hold what is made between two marks."""
    return [page for page in sorted(DOCS.rglob("*.md")) if _END in page.read_text(encoding="utf-8")]


def main(arguments: list[str]) -> int:
    """Write what the code gives into the pages, or say which of them hold something else."""
    others = 0
    for page in pages():
        held = page.read_text(encoding="utf-8")
        now = filled(held, alone=False)
        if now != held:
            others += 1
            print(f"{page.relative_to(ROOT)} is not what the code gives")
            if "--write" in arguments:
                page.write_text(now, encoding="utf-8")
    return 1 if others and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
