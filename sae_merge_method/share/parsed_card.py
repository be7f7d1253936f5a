"""A model card taken apart by ``huggingface_hub``'s own parser: front matter and body."""

from typing import Any, NamedTuple

from sae_merge_method.errors import ArtifactError


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
