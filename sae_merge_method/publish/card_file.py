"""README.md as it stands in a folder: its front matter, and the words beside those that we write."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.artifacts.strict_yaml import load_yaml
from sae_merge_method.errors import ArtifactError
from sae_merge_method.escape import markdown
from sae_merge_method.files.regular import read_regular_text
from sae_merge_method.models.hub import CARD_FILE

_BEGIN, _END = "<!-- sae-merge card -->", "<!-- end of sae-merge card -->"
# Whole lines, to the last such: nothing that is shown between them stands alone on one.
_OUR_PART = re.compile(rf"^{re.escape(_BEGIN)}$.*^{re.escape(_END)}$\n*", re.DOTALL | re.MULTILINE)
_MARK = re.compile(r"^<!-- sae-merge card: ([a-z]+), result ([0-9a-f]+|unknown) -->$", re.MULTILINE)
_TITLE = re.compile(r"\A# .*")


class OurSection(NamedTuple):
    """A section that we wrote, by a name that its mark bears."""

    name: str
    """What it is, for a second run."""
    text: str
    """Markdown; empty where there is nothing to show."""
    result: str | None = None
    """Hash of the checkpoint it speaks of; None where it has none."""

    def marked(self) -> str:
        """As it stands in a card."""
        return f"<!-- sae-merge card: {self.name}, result {self.result or 'unknown'} -->\n\n{self.text}"


class CardFile(NamedTuple):
    """A model card's parts."""

    metadata: dict[str, Any]
    """The front matter."""
    body: str
    """All that follows it but our sections."""
    ours: Mapping[str, OurSection] = {}
    """Our sections as an earlier run wrote them, by name."""
    front: str = ""
    """The front matter's YAML."""

    def with_title(self, title: str) -> "CardFile":
        """The same card under another title; an empty one gets it."""
        heading = f"# {markdown(title)}"
        return self._replace(body=_TITLE.sub(lambda _: heading, self.body) if self.body else heading)


def parse_card(text: str, where: str) -> CardFile:
    """Take a card's text apart.

    Args:
        text: Of README.md.
        where: How a message names it.

    Raises:
        ArtifactError: A front matter that is no YAML of keys and values, each key once.
    """
    import yaml
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    text = text.removeprefix("\ufeff")
    match = REGEX_YAML_BLOCK.search(text)
    if match is None:
        return CardFile({}, text)
    try:
        metadata = load_yaml(match[2])
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ArtifactError(f"{where} has a damaged front matter: {error}") from error
    if not isinstance(metadata, dict | None):
        raise ArtifactError(f"{where} has a damaged front matter: expected keys and values")
    return CardFile(metadata or {}, text[match.end() :], front=match[2])


def read_card(folder: Path) -> CardFile:
    """The card of a folder without the part that :func:`our_part` marks; an empty one where there is none.

    Raises:
        ArtifactError: It cannot be read.
    """
    path = folder / CARD_FILE
    if not path.exists():
        return CardFile({}, "")
    try:
        card = parse_card(read_regular_text(path), str(path))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ArtifactError(f"{path} cannot be read as a model card: {why}") from error
    body = _OUR_PART.sub("", card.body).strip()
    ours = _OUR_PART.search(card.body)
    return card._replace(body=body, ours=_sections(ours[0]) if ours is not None else {})


def _sections(part: str) -> dict[str, OurSection]:
    inside = part.strip().removeprefix(_BEGIN).removesuffix(_END)
    # Before each mark, then its name, its result, and what follows it.
    _, *pieces = _MARK.split(inside)
    return {
        name: OurSection(name, text.strip(), None if result == "unknown" else result)
        for name, result, text in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True)
    }


def our_part(sections: Sequence[OurSection]) -> str:
    """The sections between marks, by which a second run finds what the first one wrote."""
    return "\n\n".join([_BEGIN, *(section.marked() for section in sections if section.text), _END])
