"""The model card of a merged folder, from the artifacts that made it.

What stands in README.md already, mergekit's section or the user's words, is kept: only the front
matter and our own part (see ``card_file``) are written, so that a second run renews them.
"""

import logging
from pathlib import Path

from sae_merge_method.artifacts.comparison import read_comparison
from sae_merge_method.artifacts.diagnosis import PLOT_FILE, diagnosis_path
from sae_merge_method.files.lock import locked
from sae_merge_method.files.writing import write_bytes, write_text
from sae_merge_method.models.checkpoint import JOURNAL_FOLDER
from sae_merge_method.models.hub import CARD_FILE, ModelId, parse_model_id
from sae_merge_method.publish import sections
from sae_merge_method.publish.card_file import CardFile, OurSection, our_part, read_card
from sae_merge_method.publish.front_matter import front_matter
from sae_merge_method.publish.front_matter_text import front_matter_text
from sae_merge_method.publish.hub_names import hub_names
from sae_merge_method.publish.licence import Licence, Origin, find_licence, stated_licence
from sae_merge_method.publish.limits import limits_section, said_origin
from sae_merge_method.publish.model_index import Naming
from sae_merge_method.publish.of_experiment import is_of_this_edit
from sae_merge_method.publish.proved import statement_section
from sae_merge_method.publish.settings import CardSettings
from sae_merge_method.publish.shown import shown_sections
from sae_merge_method.recipe.merged_folder import open_merged

LOG = logging.getLogger(__name__)


_ORDER = (
    "recipe",
    "edit",
    "statement",
    "layers",
    "attribution",
    "tune",
    "verdict",
    "experiment",
    "rebuild",
    "limits",
)
"""The sections of a card."""


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
        InUseError: Another process is at work in the folder.
        SaeMergeError: An artifact cannot be read or is of another checkpoint, or no licence is known.
    """
    folder, settings = Path(folder), settings or CardSettings()
    # From the first look at README.md: of two cards at one moment, neither writes what the other never read.
    with locked(folder):
        return _renew(folder, settings)


def _renew(folder: Path, settings: CardSettings) -> Path:
    """:func:`write_card`, for who holds the folder."""
    merged = open_merged(folder)
    result = merged.report.result_sha256 if merged.report is not None else None
    standing = read_card(folder)
    models = hub_names(merged, standing, settings)
    repository = models.told.repository or ""
    title = settings.name or repository.rpartition("/")[2] or folder.resolve().name
    if settings.name is not None or not standing.body:
        standing = standing.with_title(title)
    comparison = read_comparison(Path(settings.comparison)) if settings.comparison else None
    base = parse_model_id(merged.recipe.base_model)
    licence = _licence(settings, base, standing)
    plot = _plot(settings)
    told = settings.model_copy(update={"base": models.told.base, "donor": models.told.donors})
    shown = shown_sections(merged, standing, told, comparison, with_plot=plot is not None)
    naming = Naming(title, is_asked=settings.name is not None)
    data = front_matter(standing.metadata, naming, models.ids, licence, comparison, result)
    written = {
        "recipe": "" if merged.recipe_text in standing.body else sections.recipe_section(merged),
        "edit": sections.edit_section(merged),
        "statement": statement_section(merged.checkpoint, result),
        "rebuild": sections.rebuild_section(merged, *models.told),
        "limits": limits_section(
            licence,
            models.models[0].path,
            has_verdict="verdict" in shown,
            has_layers="layers" in shown,
            has_controls="experiment" in shown and is_of_this_edit(shown["experiment"].text),
            folders=models.folders,
            unpinned=models.unpinned,
        ),
    }
    ours = [shown.get(name) or OurSection(name, written.get(name, ""), result) for name in _ORDER]
    metadata = front_matter_text(data, standing.metadata, standing.front)
    text = f"---\n{metadata}\n---\n\n{standing.body.strip()}\n\n{our_part(ours)}\n"
    if plot is not None and plot.resolve() != (folder / PLOT_FILE).resolve():
        write_bytes(folder / PLOT_FILE, plot.read_bytes())  # in the place of a link, never through it
    write_text(folder / CARD_FILE, text)
    _warn_of_journal(folder, models.told.repository)
    for name in models.folders:
        LOG.warning("%s is a folder: --base and --donor can say its Hub id", name)
    return folder / CARD_FILE


def _licence(settings: CardSettings, base: ModelId, standing: CardFile) -> Licence:
    """The licence to state, by the user, by README.md or by the base; a change is warned of."""
    own, limits = stated_licence(standing.metadata), standing.ours.get("limits")
    said = said_origin(limits.text, own) if own is not None and limits is not None else None
    licence = find_licence(settings.license, base, standing.metadata, said or Origin.README)
    if own is not None and licence.id != own.id:
        by = "as the base's card says" if licence.origin is Origin.BASE else "as --license says"
        LOG.warning("the licence that README.md states was %s, now it is %s, %s", own.id, licence.id, by)
    return licence


def _warn_of_journal(folder: Path, repository: str | None) -> None:
    if (folder / JOURNAL_FOLDER).is_dir():
        LOG.warning(
            "%s was edited in place, and %s in it holds the base's tensors: keep it out of what you share, "
            'with hf upload %s %s --exclude "%s/*"',
            *(folder, JOURNAL_FOLDER, repository or "OWNER/NAME", folder, JOURNAL_FOLDER),
        )


def _plot(settings: CardSettings) -> Path | None:
    if settings.diagnosis is None:
        return None
    plot = diagnosis_path(Path(settings.diagnosis)).parent / PLOT_FILE
    return plot if plot.is_file() else None
