"""The model card of a merged folder, from the artifacts that made it.

What stands in README.md already, mergekit's section or the user's words, is kept: only the front
matter and our own part (see ``card_file``) are written, so that a second run renews them.
"""

import logging
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import Comparison, read_comparison
from sae_merge_method.artifacts.diagnosis import PLOT_FILE, Diagnosis, diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.schema import Location, Record
from sae_merge_method.artifacts.strict_yaml import dump_yaml
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.lock import locked
from sae_merge_method.files.writing import write_bytes, write_text
from sae_merge_method.models.hub import CARD_FILE, is_hub_id, parse_model_id
from sae_merge_method.publish import sections
from sae_merge_method.publish.card_file import CardFile, OurSection, our_part, read_card
from sae_merge_method.publish.front_matter import front_matter
from sae_merge_method.publish.licence import find_licence
from sae_merge_method.publish.measured import (
    experiment_section,
    statement_section,
    unmatched_comparison,
    unmatched_experiment,
    verdict_section,
)
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
    allow_unmatched: bool = False
    """Take a comparison or an experiment that does not say which checkpoint it was measured on; the card
    says so. One that says that it was another is refused all the same."""


_ORDER = ("recipe", "edit", "statement", "layers", "verdict", "experiment", "rebuild", "limits")
"""The sections of a card."""
_MEASURED = ("layers", "verdict", "experiment")
"""Those that a later run keeps where it is told of nothing newer."""


def write_card(folder: Path | str, settings: CardSettings | None = None) -> Path:
    """Write ``README.md`` (and copy the diagnosis' plot) into a merged folder.

    What an earlier run showed of this very checkpoint stays, unless ``settings`` name something newer. A
    model that others cannot find, because the recipe names a folder, is warned of in the log.

    Args:
        folder: The checkpoint.
        settings: What else is known; None for nothing.

    Returns:
        The card's path.

    Raises:
        SaeMergeError: An artifact cannot be read or is of another checkpoint, or no licence is known.
    """
    folder, settings = Path(folder), settings or CardSettings()
    merged = open_merged(folder)
    result = merged.report.result_sha256 if merged.report is not None else None
    title = settings.name or folder.resolve().name
    standing = read_card(folder, title)
    if settings.name is not None:
        standing = standing.with_title(title)
    comparison = read_comparison(Path(settings.comparison)) if settings.comparison else None
    base = parse_model_id(merged.recipe.base_model)
    was_stated = "limits" in standing.ours and sections.STATED in standing.ours["limits"].text
    licence = find_licence(settings.license, base, standing.metadata if was_stated else None)
    models = _hub_names(merged, settings)
    plot = _plot(settings)
    shown = {
        section.name: section
        for section in (
            _layers(merged, settings, with_plot=plot is not None),
            _verdict(comparison, settings, result),
            _experiment(settings, result),
        )
        if section is not None
    }
    if not (settings.repo_id or settings.base or settings.donor):
        shown |= {"rebuild": standing.ours["rebuild"]} if "rebuild" in standing.ours else {}
    shown = _still_of(standing, result) | shown
    data = front_matter(standing.metadata, title, models.ids, licence, comparison, result)
    written = {
        "recipe": "" if merged.recipe_text in standing.body else sections.recipe_section(merged),
        "edit": sections.edit_section(merged),
        "statement": statement_section(folder, result),
        "rebuild": sections.rebuild_section(merged, settings.repo_id, settings.base, settings.donor),
        "limits": sections.limits_section(
            licence,
            settings.base or base.path,
            has_verdict="verdict" in shown,
            has_layers="layers" in shown,
            has_controls="experiment" in shown,
            folders=models.folders,
            unpinned=_unpinned(merged, models.folders),
        ),
    }
    ours = [shown.get(name) or OurSection(name, written.get(name, ""), result) for name in _ORDER]
    metadata = dump_yaml(data.to_dict()).strip()  # type: ignore[no-untyped-call]
    text = f"---\n{metadata}\n---\n\n{standing.body.strip()}\n\n{our_part(ours)}\n"
    with locked(folder):
        if plot is not None and plot.resolve() != (folder / PLOT_FILE).resolve():
            write_bytes(folder / PLOT_FILE, plot.read_bytes())  # in the place of a link, never through it
        write_text(folder / CARD_FILE, text)
    for name in models.folders:
        LOG.warning("%s is a folder: --base and --donor can say its Hub id", name)
    return folder / CARD_FILE


def _layers(merged: MergedFolder, settings: CardSettings, *, with_plot: bool) -> OurSection | None:
    """Why these layers, by the diagnosis that the user names."""
    if settings.diagnosis is None:
        return None
    diagnosis = read_diagnosis(Path(settings.diagnosis))
    _require_same_base(merged, diagnosis)
    text = sections.layers_section(diagnosis, merged.layers, _rule(merged), with_plot)
    return OurSection("layers", text, merged.report.result_sha256 if merged.report is not None else None)


def _verdict(comparison: Comparison | None, settings: CardSettings, result: str | None) -> OurSection | None:
    """What changed, by the comparison that the user names, once it is known to be of this checkpoint."""
    if comparison is None:
        return None
    unmatched = unmatched_comparison(comparison, str(settings.comparison), result)
    _require_allowed(unmatched, settings)
    return OurSection("verdict", verdict_section(comparison, unmatched), result)


def _experiment(settings: CardSettings, result: str | None) -> OurSection | None:
    """What else was tried, by the experiment that the user names, once this checkpoint is one of its arms."""
    if settings.experiment is None:
        return None
    path = Path(settings.experiment)
    section = experiment_section(path)  # that there is one at all comes first
    unmatched = unmatched_experiment(path, result)
    _require_allowed(unmatched, settings)
    if unmatched is not None:
        section = experiment_section(path, unmatched)
    return OurSection("experiment", section, result)


def _require_allowed(unmatched: str | None, settings: CardSettings) -> None:
    if unmatched is not None and not settings.allow_unmatched:
        raise ArtifactError(f"{unmatched}; --allow-unmatched takes it, and the card says so")


def _still_of(standing: CardFile, result: str | None) -> dict[str, OurSection]:
    """What an earlier run measured and showed of this very checkpoint."""
    measured = {name: standing.ours[name] for name in _MEASURED if name in standing.ours}
    for section in measured.values():
        if section.result != result:
            LOG.warning(
                "the card's section on the %s is of result %s: it is left out",
                section.name,
                (section.result or "unknown")[:16],
            )
    return {name: section for name, section in measured.items() if section.result == result}


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
