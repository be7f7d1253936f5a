"""The last section of a model card: what it does not show, and whose its licence is."""

from collections.abc import Sequence

from sae_merge_method.publish.licence import Licence, Origin
from sae_merge_method.reports.markdown import bullets, code, plain, section


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
        has_controls: Whether it says what else was tried beside this very edit.
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
    whose = f" {plain(base)}" if licence.origin is Origin.BASE else ""
    lines.append(
        f"{_said(licence, licence.origin)}{whose}. Donors, SAEs and data sets have licences of their own."
    )
    return section("Limits", bullets(lines))


def said_origin(text: str, licence: Licence) -> Origin | None:
    """Who says a licence by the words of such a section; None where it speaks of another one."""
    return next((origin for origin in Origin if _said(licence, origin) in text), None)


def _said(licence: Licence, origin: Origin) -> str:
    return f"Licence: {plain(licence.name or licence.id)}, {origin.value}"
