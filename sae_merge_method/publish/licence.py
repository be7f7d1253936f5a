"""The licence that a merge of models states: the one its author says, or else the base's; never a guess."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from sae_merge_method.errors import ArtifactError, ModelError, UsageError
from sae_merge_method.models.hub import ModelId, model_card_text
from sae_merge_method.publish.card_file import parse_card

_FIELDS = ("license_name", "license_link")


class Origin(Enum):
    """Who says which licence it is, in a card's words."""

    AUTHOR = "stated by the author"
    README = "as README.md stated before"
    """It stood there, by an unknown hand: README.md may be the base's own, copied or edited in place."""
    BASE = "taken over from the card of"


class Licence(NamedTuple):
    """As a card's front matter states it."""

    id: str
    """The Hub's identifier, for example "gemma" or "apache-2.0"; "other" where a name follows."""
    name: str | None = None
    """The licence's own name, where the identifier does not say it."""
    link: str | None = None
    """Where its text stands, where the card says so."""
    origin: Origin = Origin.AUTHOR
    """Who says so."""


def find_licence(
    asked: str | None,
    base: ModelId,
    standing: Mapping[str, Any] | None = None,
    origin: Origin = Origin.README,
) -> Licence:
    """The licence that is asked for, or the one that stands already, or the one on the base's card.

    Args:
        asked: One of the Hub's identifiers, or None.
        base: The base model.
        standing: Front matter that stands in README.md; None where there is none.
        origin: Who said what stands there; what was taken over from the base's card is read there anew.

    Raises:
        UsageError: None of them is there, or one is no identifier.
    """
    own = stated_licence(standing or {})
    if asked is not None:
        if not asked.replace("-", "").replace(".", "").replace("_", "").isalnum():
            raise UsageError(
                f"--license: expected one of the Hub's identifiers such as apache-2.0, got {asked!r}"
            )
        # Asked for again, it keeps the name and the link that were given to it.
        return own if own is not None and own.id.lower() == asked.lower() else Licence(asked.lower())
    _require_one(standing or {}, "README.md")
    return _inherited(base) if own is None or origin is Origin.BASE else own._replace(origin=origin)


def stated_licence(metadata: Mapping[str, Any]) -> Licence | None:
    """The licence that a front matter states; None where it states none, or not one identifier."""
    if not metadata.get("license") or not isinstance(metadata["license"], str):
        return None
    name, link = (str(metadata[key]) if metadata.get(key) else None for key in _FIELDS)
    return Licence(metadata["license"], name, link)


def _require_one(metadata: Mapping[str, Any], where: str) -> None:
    if metadata.get("license") and not isinstance(metadata["license"], str):
        raise UsageError(
            f"{where} states as its licence {metadata['license']!r}, expected one identifier: say it with "
            "--license"
        )


def _inherited(base: ModelId) -> Licence:
    where = f"the card of {base.path}"
    try:
        metadata = parse_card(model_card_text(base), where).metadata
    except (ModelError, ArtifactError) as error:
        raise UsageError(f"the licence of the base cannot be read, say it with --license: {error}") from error
    _require_one(metadata, where)
    licence = stated_licence(metadata)
    if licence is None:
        raise UsageError(f"{where} states no licence: say it with --license")
    return licence._replace(origin=Origin.BASE)
