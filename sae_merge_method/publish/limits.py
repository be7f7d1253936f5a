"""The last section of a model card: what it does not show, and whose its licence is."""

from collections.abc import Sequence

from sae_merge_method.publish.licence import Licence
from sae_merge_method.reports.markdown import bullets, code, plain, section

_INHERITED = "taken over from the card of"
"""How a card says that its licence is the base's."""


def limits_section(
    licence: Licence,
    base: str,
    *,
    has_verdict: bool,
    has_layers: bool,
    has_controls: bool,
    folders: Sequence[str],
    unpinned: Sequence[str],
) -> str:
    """What a reader must not take this card for.

    Args:
        licence: The one stated.
        base: Name of the base, whose licence it may be.
        has_verdict: Whether the card says what changed.
        has_layers: Whether the card says why these layers.
        has_controls: Whether it says what else was tried.
        folders: Models that the recipe names by folder.
        unpinned: Models on the Hub that it names without a revision.
    """
    lines = []
    if not has_verdict:
        lines.append("Nothing about its quality is shown here: no evaluation came with this card.")
    if has_layers and not has_controls:
        lines.append(
            "That these layers are better than others of the same number is not shown here: it takes "
            "controls with other layers."
        )
    if folders:
        names = ", ".join(map(code, folders))
        lines.append(f"The recipe names {names} by folder: a rebuild needs the same models in those places.")
    if unpinned:
        names = ", ".join(map(code, unpinned))
        lines.append(
            f"The recipe does not pin {names} to a commit: should one change on the Hub, "
            "a rebuild will say that its bytes differ."
        )
    origin = f"{_INHERITED} {plain(base)}" if licence.inherited else "stated by the author"
    lines.append(f"{_named(licence)}, {origin}. Donors, SAEs and data sets have licences of their own.")
    return section("Limits", bullets(lines))


def says_inherited(text: str, licence: Licence) -> bool:
    """Whether such a section says of a licence that it is the base's."""
    return f"{_named(licence)}, {_INHERITED}" in text


def _named(licence: Licence) -> str:
    return f"Licence: {plain(licence.name or licence.id)}"
