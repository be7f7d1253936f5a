"""Parsing a model card's front matter, and the licence that a merge of models inherits."""

from typing import Any, NamedTuple

from sae_merge_method.errors import ArtifactError, ModelError, UsageError
from sae_merge_method.models.hub import ModelId, model_card_text


class ParsedCard(NamedTuple):
    """A card's two parts."""

    metadata: dict[str, Any]
    body: str


def parse_card(text: str, where: str) -> ParsedCard:
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
        return ParsedCard({}, text)
    try:
        card = ModelCard(text, ignore_metadata_errors=True)
        metadata: dict[str, Any] = card.data.to_dict()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise ArtifactError(f"{where} has a damaged front matter: {error}") from error
    return ParsedCard(metadata, card.text)


_FIELDS = ("license", "license_name", "license_link")


class Licence(NamedTuple):
    """As a card's front matter states it."""

    id: str
    """The Hub's identifier, for example "gemma" or "apache-2.0"; "other" where a name follows."""
    name: str | None = None
    link: str | None = None
    inherited: bool = False
    """Whether it was read from the base's card."""


def find_licence(given: str | None, base: ModelId) -> Licence:
    """The licence the user gave, or the one the base's card states.

    Args:
        given: ``--license``, or None.
        base: The base model.

    Raises:
        UsageError: Neither is there.
    """
    if given is not None:
        if not given.replace("-", "").replace(".", "").replace("_", "").isalnum():
            raise UsageError(
                f"--license: expected one of the Hub's identifiers such as apache-2.0, got {given!r}"
            )
        return Licence(given.lower())
    try:
        stated = parse_card(model_card_text(base), f"the card of {base.path}").metadata
    except (ModelError, ArtifactError) as error:
        raise UsageError(f"the licence of the base cannot be read, say it with --license: {error}") from error
    if not stated.get("license"):
        raise UsageError(f"the card of {base.path} states no licence: say it with --license")
    found, name, link = (str(stated[field]) if stated.get(field) else None for field in _FIELDS)
    assert found is not None
    return Licence(found, name, link, inherited=True)
