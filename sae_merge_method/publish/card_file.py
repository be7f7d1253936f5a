"""README.md as it stands in a folder: its front matter, and the words beside those that we write."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.errors import ArtifactError
from sae_merge_method.models.hub import CARD_FILE
from sae_merge_method.reports.escape import markdown

_BEGIN, _END = "<!-- sae-merge card -->", "<!-- end of sae-merge card -->"
# Whole lines, to the last such: nothing that is shown between them stands alone on one.
_OUR_PART = re.compile(rf"^{re.escape(_BEGIN)}$.*^{re.escape(_END)}$\n*", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r"\A# .*")


class CardFile(NamedTuple):
    """A model card's two parts."""

    metadata: dict[str, Any]
    """The front matter."""
    body: str
    """All that follows it."""

    def with_title(self, title: str) -> "CardFile":
        """The same card under another title."""
        return self._replace(body=_TITLE.sub(lambda _: _heading(title), self.body))


def parse_card(text: str, where: str) -> CardFile:
    """Take a card's text apart.

    Args:
        text: Of README.md.
        where: How a message names it.

    Raises:
        ArtifactError: A front matter that the Hub would refuse.
    """
    import yaml
    from huggingface_hub import ModelCard

    if not text.lstrip().startswith("---"):
        return CardFile({}, text)
    try:
        card = ModelCard(text, ignore_metadata_errors=True)
        metadata: dict[str, Any] = card.data.to_dict()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise ArtifactError(f"{where} has a damaged front matter: {error}") from error
    return CardFile(metadata, card.text)


def read_card(folder: Path, title: str) -> CardFile:
    """The card of a folder without the part that :func:`our_part` marks; under ``title`` where it is empty.

    Raises:
        ArtifactError: It cannot be read.
    """
    path = folder / CARD_FILE
    if not path.exists():
        return CardFile({}, _heading(title))
    try:
        card = parse_card(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} cannot be read as a model card: {error}") from error
    return card._replace(body=_OUR_PART.sub("", card.body).strip() or _heading(title))


def _heading(title: str) -> str:
    return f"# {markdown(title)}"


def our_part(sections: list[str]) -> str:
    """The sections between marks, by which a second run finds what the first one wrote."""
    return "\n\n".join([_BEGIN, *(section for section in sections if section), _END])
