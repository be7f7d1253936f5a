"""How to make the model again, and what its card does not show."""

import shlex
from collections.abc import Sequence

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.artifacts.recipe import RECIPE_FILE
from sae_merge_method.models.hub import parse_model_id
from sae_merge_method.publish.licence import Licence
from sae_merge_method.recipe.merged_folder import MergedFolder
from sae_merge_method.reports.markdown import bullets, code, plain, section

_NAMED = 2
"""Subjects that are listed; more are in the table."""


def rebuild_section(
    merged: MergedFolder, repository: str | None, base: str | None, donors: Sequence[str]
) -> str:
    """Three commands.

    Args:
        merged: The model.
        repository: Its id on the Hub, or None for the folder at hand.
        base: Hub id of the base, where the recipe names a folder.
        donors: The same of the donors.
    """
    source = repository or "."
    elsewhere = [("--base", base)] if base else []
    elsewhere += [("--donor", donor) for donor in donors]
    options = "".join(f" {option} {shlex.quote(name)}" for option, name in elsewhere)
    commands = [
        "pip install sae-merge-method",
        f"sae-merge rebuild {shlex.quote(source)} rebuilt/{options}",
        "sae-merge verify rebuilt/",
    ]
    where = "" if repository else " in this folder"
    hashes = (
        "merges by the same recipe again and compares every tensor's hash with this model's"
        if merged.report is not None
        else "merges by the same recipe again and compares every tensor with this model's"
    )
    return section(
        "Rebuild and verify",
        "```sh\n" + "\n".join(commands) + "\n```",
        f"The second command{where} {hashes}; the third holds the result against base and donor, "
        "bit for bit. "
        f"{code(RECIPE_FILE)} is an ordinary mergekit recipe: with the package installed, "
        f"{code(f'mergekit-yaml {RECIPE_FILE} rebuilt/')} runs it too.",
    )


def limits_section(
    merged: MergedFolder,
    licence: Licence,
    base: str,
    nameless: Sequence[str],
    heard: Diagnosis | None,
    verdict: Comparison | None,
    has_controls: bool,
) -> str:
    """What a reader must not take this card for."""
    lines = [_evaluated(verdict)]
    if heard is not None and not has_controls:
        lines.append(
            "That these layers are better than others of the same number is not shown here: it takes "
            "controls with other layers."
        )
    if nameless:
        names = ", ".join(code(name) for name in nameless)
        lines.append(f"The recipe names {names} by folder: a rebuild needs the same models in those places.")
    unpinned = [
        name
        for name in (merged.recipe.base_model, *merged.donors)
        if parse_model_id(name).path not in nameless and parse_model_id(name).revision is None
    ]
    if unpinned:
        names = ", ".join(code(name) for name in unpinned)
        lines.append(
            f"The recipe does not pin {names} to a commit: should one change on the Hub, "
            "a rebuild will say that its bytes differ."
        )
    origin = f"taken over from the card of {plain(base)}" if licence.inherited else "stated by the author"
    lines.append(
        f"Licence: {plain(licence.name or licence.id)}, {origin}. Donors, SAEs and data sets have "
        "licences of their own."
    )
    return section("Limits", bullets(lines))


def _evaluated(verdict: Comparison | None) -> str:
    if verdict is None:
        return "Nothing about its quality is shown here: no evaluation came with this card."
    tasks = [plain(subject.task) for subject in verdict.subjects]
    named = " and ".join(tasks) if len(tasks) <= _NAMED else f"the {len(tasks)} subjects above"
    return f"Evaluated on {named} and nothing else: what the edit did to other abilities is not known."
