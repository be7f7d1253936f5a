"""The licence that a merge of models states: the base's, or the one its author says; never a guess."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sae_merge_method.errors import ArtifactError, ModelError, UsageError
from sae_merge_method.models.hub import ModelId, model_card_text
from sae_merge_method.publish.card_file import parse_card

_FIELDS = ("license", "license_name", "license_link")


class Licence(NamedTuple):
    """As a card's front matter states it."""

    id: str
    """The Hub's identifier, for example "gemma" or "apache-2.0"; "other" where a name follows."""
    name: str | None = None
    """The licence's own name, where the identifier does not say it."""
    link: str | None = None
    """Where its text stands, where the card says so."""
    inherited: bool = False
    """Whether it was read from the base's card."""


def find_licence(stated: str | None, base: ModelId, earlier: Mapping[str, Any] | None = None) -> Licence:
    """The licence the author states, or the one on the base's card, or the one that an earlier card states.

    Args:
        stated: One of the Hub's identifiers, or None.
        base: The base model.
        earlier: Front matter of an earlier card whose licence the author stated; None where there is none.

    Raises:
        UsageError: None of them is there, or ``stated`` is no identifier.
    """
    if stated is not None:
        if not stated.replace("-", "").replace(".", "").replace("_", "").isalnum():
            raise UsageError(
                f"--license: expected one of the Hub's identifiers such as apache-2.0, got {stated!r}"
            )
        return Licence(stated.lower())
    try:
        return _inherited(base)
    except UsageError:
        if not earlier or not isinstance(earlier.get("license"), str):
            raise
        return _read(earlier, inherited=False)


def _inherited(base: ModelId) -> Licence:
    where = f"the card of {base.path}"
    try:
        metadata = parse_card(model_card_text(base), where).metadata
    except (ModelError, ArtifactError) as error:
        raise UsageError(f"the licence of the base cannot be read, say it with --license: {error}") from error
    if not metadata.get("license"):
        raise UsageError(f"{where} states no licence: say it with --license")
    return _read(metadata, inherited=True)


def _read(metadata: Mapping[str, Any], *, inherited: bool) -> Licence:
    identifier, name, link = (str(metadata[key]) if metadata.get(key) else None for key in _FIELDS)
    assert identifier is not None
    return Licence(identifier, name, link, inherited=inherited)
