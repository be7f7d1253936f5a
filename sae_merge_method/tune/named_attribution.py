"""The attribution that a search is given, held against the models that it searches.

A donor is known by its files, and told before anything is loaded; an adapter is known once it is merged.
"""

import logging
from pathlib import Path

from sae_merge_method.errors import RecipeError
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.hub import open_model, parse_model_id
from sae_merge_method.recipe.diagnosed import OpenedAttribution, open_attribution
from sae_merge_method.tune.attribution import Attribution, of_record
from sae_merge_method.tune.settings import TuneSettings

LOG = logging.getLogger(__name__)


def open_named(asked: TuneSettings) -> OpenedAttribution | None:
    """The attribution that is named; None where none is.

    Raises:
        ArtifactError: There is none, or it cannot be read.
        RecipeError: It is of another base, or of another donor that is no adapter.
    """
    if asked.attribution is None:
        return None
    (donor,) = asked.donor
    opened = open_attribution(Path(asked.attribution), open_model(asked.base), asked.base, asked.donor)
    if parse_model_id(donor).adapter is None:
        _require_donor(opened, donor, open_model(donor))
    return opened


def told_by(opened: OpenedAttribution, donor: str, edited: EditedModel) -> Attribution:
    """What it says of layers.

    Args:
        opened: The attribution.
        donor: The one donor, as its user names it.
        edited: The base in memory with that donor.

    Raises:
        RecipeError: It is of another adapter.
        ArtifactError: It leaves layers out.
    """
    _require_donor(opened, donor, edited.checkpoints[1])
    return of_record(opened.content, str(opened.path), len(edited.model.blocks))


def _require_donor(opened: OpenedAttribution, name: str, donor: Checkpoint) -> None:
    """Refuse an attribution of another donor.

    Of an adapter by the same name it is only told: on another kind of processor the same factors may
    multiply to other last bits.
    """
    path, was = opened.path, opened.content.donor
    if was.fingerprint.agrees_in(fingerprint(donor)) is not None:
        return
    if was.id == name and parse_model_id(name).adapter is not None:
        LOG.warning(
            "%s was made with %s when that came to other weights: it was trained again since, or merged on "
            "another kind of processor", path, name,
        )  # fmt: skip
        return
    raise RecipeError(
        f"{path} was made with the donor {was.id}, the donor {name} has other weights: its layers may carry "
        "something else (attribute that donor, or search without an attribution)"
    )
