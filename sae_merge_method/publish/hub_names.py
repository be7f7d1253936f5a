"""How others find a merged folder, its base and its donors: the one list that a whole card goes by.

What an earlier run was told stands in its section on rebuilding, and holds as long as the recipe does.
"""

import shlex
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.errors import ArtifactError
from sae_merge_method.models.hub import ModelId, parse_model_id
from sae_merge_method.models.repository import is_hub_id
from sae_merge_method.publish import sections
from sae_merge_method.publish.card_file import CardFile
from sae_merge_method.publish.settings import CardSettings
from sae_merge_method.recipe.merged_folder import MergedFolder


class Told(NamedTuple):
    """What users said, now or for an earlier card."""

    repository: str | None = None
    """Where the folder is uploaded."""
    base: str | None = None
    """Hub id of the base; None where the recipe's name is to be taken."""
    donors: tuple[str, ...] = ()
    """Hub ids of the donors, in the recipe's order; none where the recipe's names are."""


class HubNames(NamedTuple):
    """How others find base and donors."""

    told: Told
    """What users said."""
    models: tuple[ModelId, ...]
    """Base and donors, then each one's adapter behind it: as told, else as the recipe names them."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Those on the Hub."""
        return tuple(dict.fromkeys(one.path for one in self.models if is_on_the_hub(one)))

    @property
    def unpinned(self) -> tuple[str, ...]:
        """Those on the Hub that are named without a revision."""
        loose = (one.path for one in self.models if is_on_the_hub(one) and one.revision is None)
        return tuple(dict.fromkeys(loose))

    @property
    def folders(self) -> tuple[str, ...]:
        """Those that nobody else can find."""
        return tuple(dict.fromkeys(one.path for one in self.models if not is_on_the_hub(one)))


def hub_names(merged: MergedFolder, standing: CardFile, settings: CardSettings) -> HubNames:
    """How base and donors are called in a card.

    Args:
        merged: The folder.
        standing: Its card so far.
        settings: What the user says now.

    Raises:
        ArtifactError: There are not as many donors as the recipe has.
    """
    if settings.donor and len(settings.donor) != len(merged.donors):
        raise ArtifactError(
            f"the recipe has {len(merged.donors)} donors ({', '.join(merged.donors)}): "
            f"expected a Hub id for each, got {len(settings.donor)}"
        )
    before = _told_before(merged, standing)
    told = Told(
        settings.repo_id or before.repository, settings.base or before.base, settings.donor or before.donors
    )
    in_recipe = (merged.recipe.base_model, *merged.donors)
    better = (told.base, *(told.donors or (None,) * len(merged.donors)))
    models = [one for names in zip(in_recipe, better, strict=True) for one in _parts(*names)]
    return HubNames(told, tuple(models))


def _parts(written: str, told: str | None) -> tuple[ModelId, ...]:
    parts = () if told is None else parse_model_id(told).parts
    return parts if parts and all(map(is_on_the_hub, parts)) else parse_model_id(written).parts


def is_on_the_hub(model: ModelId) -> bool:
    """Whether a name is an id on the Hub, and no folder's."""
    return is_hub_id(model.path) and "/" in model.path and not Path(model.path).exists()


def _told_before(merged: MergedFolder, standing: CardFile) -> Told:
    """What an earlier run was told, of models only where the recipe is the one that it showed."""
    words = _rebuild_command(standing)
    repository = words[0] if words and words[0] != "." else None
    recipe = standing.ours.get("recipe")
    is_shown = recipe is not None and recipe.text == sections.recipe_section(merged)
    if not (is_shown or merged.recipe_text in standing.body):
        return Told(repository)
    options = list(zip(words[2::2], words[3::2], strict=False))
    bases = [name for option, name in options if option == "--base"]
    donors = tuple(name for option, name in options if option == "--donor")
    return Told(repository, next(iter(bases), None), donors if len(donors) == len(merged.donors) else ())


def _rebuild_command(standing: CardFile) -> list[str]:
    """The words behind ``sae-merge rebuild`` in a card; none where there is no such line."""
    text = standing.ours["rebuild"].text if "rebuild" in standing.ours else ""
    line = next((line for line in text.splitlines() if line.startswith(sections.REBUILD)), "")
    try:
        return shlex.split(line.removeprefix(sections.REBUILD))
    except ValueError:  # edited by hand
        return []
