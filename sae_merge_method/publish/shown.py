"""What was measured of a merged folder, as sections of its card: by what the user names, or an earlier card.

An artifact of another base or of another checkpoint is refused here; what each section says is the
affair of ``sections``, ``measured``, ``of_experiment`` and ``of_search``.
"""

import logging
from pathlib import Path

from sae_merge_method.artifacts.attribution import read_attribution
from sae_merge_method.artifacts.attribution_summary import summary_of
from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.errors import ArtifactError
from sae_merge_method.models.hub import is_same_model
from sae_merge_method.publish import sections
from sae_merge_method.publish.card_file import CardFile, OurSection
from sae_merge_method.publish.measured import unmatched_comparison, verdict_section
from sae_merge_method.publish.of_base import require_attributed_base, require_diagnosed_base
from sae_merge_method.publish.of_experiment import experiment_section, match_experiment, require_report
from sae_merge_method.publish.of_search import tune_section, unmatched_tune
from sae_merge_method.publish.settings import CardSettings
from sae_merge_method.recipe.merged_folder import MergedFolder

LOG = logging.getLogger(__name__)

_MEASURED = ("layers", "attribution", "tune", "verdict", "experiment")
"""Those that a later run keeps where it is told of nothing newer."""


def shown_sections(
    merged: MergedFolder,
    standing: CardFile,
    settings: CardSettings,
    comparison: Comparison | None,
    *,
    with_plot: bool,
) -> dict[str, OurSection]:
    """The sections on layers, attribution, tuning, verdict and experiment that a card shows, by name.

    Args:
        merged: The folder.
        standing: Its card so far: what it shows of this very checkpoint stays where nothing newer is named.
        settings: The artifacts that the user names, and the names of base and donors that were ever told.
        comparison: The one that ``settings`` name, read.
        with_plot: Whether the diagnosis' plot lies beside the card.

    Raises:
        SaeMergeError: An artifact cannot be read, or is of another base or checkpoint.
    """
    result = merged.report.result_sha256 if merged.report is not None else None
    newer = (
        _layers(merged, settings, with_plot=with_plot),
        _attribution(merged, settings),
        _tune(merged, settings),
        _verdict(comparison, settings, result),
        _experiment(settings, result),
    )
    return _still_of(standing, result) | {section.name: section for section in newer if section is not None}


def _layers(merged: MergedFolder, settings: CardSettings, *, with_plot: bool) -> OurSection | None:
    """Why these layers, by the diagnosis that the user names."""
    if settings.diagnosis is None:
        return None
    diagnosis = read_diagnosis(Path(settings.diagnosis))
    require_diagnosed_base(merged, diagnosis)
    text = sections.layers_section(diagnosis, merged.layers, _rule(merged), with_plot)
    return OurSection("layers", text, merged.report.result_sha256 if merged.report is not None else None)


def _attribution(merged: MergedFolder, settings: CardSettings) -> OurSection | None:
    """What each layer carries, by the attribution that the user names, once it is of this base and donor."""
    if settings.attribution is None:
        return None
    attribution = read_attribution(settings.attribution)
    require_attributed_base(merged, attribution)
    summary = summary_of(attribution)
    if summary is None:
        raise ArtifactError(
            f"{settings.attribution} has the first order alone, which says nothing of the whole donor: "
            "attribute without --first-order"
        )
    if not any(is_same_model(attribution.donor.id, donor) for donor in (*merged.donors, *settings.donor)):
        LOG.warning(
            "the attribution is of the donor %s, the recipe names %s", summary.donor, ", ".join(merged.donors)
        )
    text = sections.attribution_section(summary, merged.layers)
    return OurSection("attribution", text, merged.report.result_sha256 if merged.report is not None else None)


def _tune(merged: MergedFolder, settings: CardSettings) -> OurSection | None:
    """How the weights were found, by the search that the user names, once this is its recipe."""
    if settings.tune is None:
        return None
    path = Path(settings.tune)
    unmatched = unmatched_tune(path, merged, settings.base, settings.donor)
    _require_allowed(unmatched, settings)
    text = tune_section(path, unmatched)
    return OurSection("tune", text, merged.report.result_sha256 if merged.report is not None else None)


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
    require_report(path)  # that there is one at all comes first
    matched = match_experiment(path, result)
    _require_allowed(matched.unmatched, settings)
    return OurSection("experiment", experiment_section(path, matched), result)


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


def _rule(merged: MergedFolder) -> str | None:
    """The rule that chose the layers, where the recipe says it."""
    recorded = (merged.recipe.sae_evidence or {}).get("select")
    return merged.recipe.parameters.select or (recorded if isinstance(recorded, str) else None)
