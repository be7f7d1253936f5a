"""The licence of an edited model: the base's, read from its card, or the user's word. Never a guess."""

from typing import NamedTuple

from sae_merge_method.errors import ArtifactError, ModelError, UsageError
from sae_merge_method.hub import model_card_text
from sae_merge_method.share.parsed_card import parse_card

_FIELDS = ("license", "license_name", "license_link")


class Licence(NamedTuple):
    """As a card's front matter states it."""

    id: str
    """The Hub's identifier, for example "gemma" or "apache-2.0"; "other" where a name follows."""
    name: str | None = None
    link: str | None = None
    inherited: bool = False
    """Whether it was read from the base's card."""


def find_licence(given: str | None, base: str, revision: str | None) -> Licence:
    """The licence the user gave, or the one the base's card states.

    Args:
        given: ``--license``, or None.
        base: Folder or Hub id of the base.
        revision: Of the base.

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
        stated = parse_card(model_card_text(base, revision), f"the card of {base}").metadata
    except (ModelError, ArtifactError) as error:
        raise UsageError(f"the licence of the base cannot be read, say it with --license: {error}") from error
    if not stated.get("license"):
        raise UsageError(f"the card of {base} states no licence: say it with --license")
    found, name, link = (str(stated[field]) if stated.get(field) else None for field in _FIELDS)
    assert found is not None
    return Licence(found, name, link, inherited=True)
