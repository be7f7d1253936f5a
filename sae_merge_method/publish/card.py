"""The model card of a merged folder, from the artifacts that made it.

What stands in README.md already, mergekit's section or the user's words, is kept: only the front
matter and our own part (see ``card_file``) are written, so that a second run renews them.
"""

import logging
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import read_comparison
from sae_merge_method.artifacts.diagnosis import PLOT_FILE, Diagnosis, diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.schema import Location, Record
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.lock import locked
from sae_merge_method.files.writing import write_bytes, write_text
from sae_merge_method.models.hub import CARD_FILE, is_hub_id, parse_model_id
from sae_merge_method.publish import sections
from sae_merge_method.publish.card_file import our_part, read_card
from sae_merge_method.publish.front_matter import front_matter
from sae_merge_method.publish.licence import find_licence
from sae_merge_method.recipe.merged_folder import MergedFolder, open_merged

LOG = logging.getLogger(__name__)


class CardSettings(Record):
    """What a card is made from beside the merged folder: the options of ``sae-merge card``."""

    diagnosis: Location | None = None
    """Diagnosis that chose the layers, folder or file: adds their table and plot."""
    comparison: Location | None = None
    """comparison.json of the base and this model, or its folder: adds the verdict, and results to the
    metadata."""
    experiment: Location | None = None
    """Folder of an experiment with controls, or its report: adds what else was tried."""
    license: str | None = None
    """Licence, by the Hub's identifier; without it, as the base's card says."""
    name: str | None = None
    """The model's name; without it, the folder's."""
    repo_id: str | None = None
    """Where it will be uploaded, OWNER/NAME: for the commands shown."""
    base: str | None = None
    """Hub id of the base, where the recipe names a folder."""
    donor: tuple[str, ...] = ()
    """Hub id of a donor, where the recipe names a folder; one for each donor, in the recipe's order."""


def write_card(folder: Path | str, settings: CardSettings | None = None) -> Path:
    """Write ``README.md`` (and copy the diagnosis' plot) into a merged folder.

    A model that others cannot find, because the recipe names a folder, is warned of in the log.

    Args:
        folder: The checkpoint.
        settings: What else is known; None for nothing.

    Returns:
        The card's path.

    Raises:
        SaeMergeError: An artifact cannot be read or is of another model, or no licence is known.
    """
    folder, settings = Path(folder), settings or CardSettings()
    merged = open_merged(folder)
    diagnosis = read_diagnosis(Path(settings.diagnosis)) if settings.diagnosis else None
    if diagnosis is not None:
        _require_same_base(merged, diagnosis)
    comparison = read_comparison(Path(settings.comparison)) if settings.comparison else None
    base = parse_model_id(merged.recipe.base_model)
    licence = find_licence(settings.license, base)
    models = _hub_names(merged, settings)
    title = settings.name or folder.resolve().name
    standing = read_card(folder, title)
    if settings.name is not None:
        standing = standing.with_title(title)
    data = front_matter(standing.metadata, title, models.ids, licence, comparison)
    plot = _plot(settings)
    ours = [
        "" if merged.recipe_text in standing.body else sections.recipe_section(merged),
        sections.edit_section(merged),
        sections.layers_section(diagnosis, merged.layers, _rule(merged), plot is not None)
        if diagnosis
        else "",
        sections.verdict_section(comparison) if comparison else "",
        sections.experiment_section(Path(settings.experiment)) if settings.experiment else "",
        sections.rebuild_section(merged, settings.repo_id, settings.base, settings.donor),
        sections.limits_section(
            comparison,
            licence,
            settings.base or base.path,
            has_layers=diagnosis is not None,
            has_controls=settings.experiment is not None,
            folders=models.folders,
            unpinned=_unpinned(merged, models.folders),
        ),
    ]
    text = f"---\n{data.to_yaml()}\n---\n\n{standing.body.strip()}\n\n{our_part(ours)}\n"
    with locked(folder):
        if plot is not None and plot.resolve() != (folder / PLOT_FILE).resolve():
            write_bytes(folder / PLOT_FILE, plot.read_bytes())  # in the place of a link, never through it
        write_text(folder / CARD_FILE, text)
    for name in models.folders:
        LOG.warning("%s is a folder: --base and --donor can say its Hub id", name)
    return folder / CARD_FILE


def _require_same_base(merged: MergedFolder, diagnosis: Diagnosis) -> None:
    model = diagnosis.model
    if merged.report is not None and merged.report.base_config_sha256 != model.config_sha256:
        raise ArtifactError(
            f"the diagnosis is of {model.id}, which has another config.json than "
            f"the base of {merged.folder} ({merged.recipe.base_model})"
        )
    if model.n_layers != merged.checkpoint.n_layers:
        raise ArtifactError(
            f"the diagnosis is of a model with {model.n_layers} layers, "
            f"{merged.folder} has {merged.checkpoint.n_layers}"
        )


def _rule(merged: MergedFolder) -> str | None:
    """The rule that chose the layers, where the recipe says it."""
    recorded = (merged.recipe.sae_diagnosis or {}).get("select")
    return merged.recipe.parameters.select or (recorded if isinstance(recorded, str) else None)


def _plot(settings: CardSettings) -> Path | None:
    if settings.diagnosis is None:
        return None
    plot = diagnosis_path(Path(settings.diagnosis)).parent / PLOT_FILE
    return plot if plot.is_file() else None


class _HubNames(NamedTuple):
    """How others find base and donors."""

    ids: tuple[str, ...]
    """Hub ids."""
    folders: tuple[str, ...]
    """Models that have none."""


def _hub_names(merged: MergedFolder, settings: CardSettings) -> _HubNames:
    if settings.donor and len(settings.donor) != len(merged.donors):
        raise ArtifactError(
            f"the recipe has {len(merged.donors)} donors ({', '.join(merged.donors)}): "
            f"expected a Hub id for each, got {len(settings.donor)}"
        )
    in_recipe = (merged.recipe.base_model, *merged.donors)
    by_user = (settings.base, *(settings.donor or (None,) * len(merged.donors)))
    ids, folders = [], []
    for model, better in zip(in_recipe, by_user, strict=True):
        for part in parse_model_id(model).parts:
            name = better or part.path
            if is_hub_id(name) and "/" in name and not Path(name).exists():
                ids.append(name)
            else:
                folders.append(part.path)
    return _HubNames(tuple(dict.fromkeys(ids)), tuple(folders))


def _unpinned(merged: MergedFolder, folders: tuple[str, ...]) -> list[str]:
    """Models on the Hub that the recipe names without a revision."""
    models = (merged.recipe.base_model, *merged.donors)
    parsed = {name: parse_model_id(name) for name in models}
    return [name for name, model in parsed.items() if model.path not in folders and model.revision is None]
