"""Another score for a diagnosis that stands, from the stored usage: no model, no SAE."""

import shutil
from pathlib import Path

from sae_merge_method.artifacts.attribution import ATTRIBUTION_FILE
from sae_merge_method.artifacts.attribution_groups import GROUPS_FILE
from sae_merge_method.artifacts.diagnosis import USAGE_FILE, Diagnosis, read_diagnosis, write_diagnosis
from sae_merge_method.artifacts.draws import write_draws
from sae_merge_method.artifacts.layer_diagnosis import TopFeature
from sae_merge_method.artifacts.usage import UsageReader
from sae_merge_method.diagnose.page import draw_diagnosis
from sae_merge_method.diagnose.scoring import Scoring, score_layers
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.files.folders import new_folder
from sae_merge_method.layers import named_units
from sae_merge_method.selection import choose_layers, parse_rule


def score(
    diagnosis: str | Path,
    settings: ScoringSettings | None = None,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> Diagnosis:
    """Score a diagnosis anew from its stored usage, and write it to ``out`` where one is given.

    Args:
        diagnosis: The folder of a diagnosis with its stored usage.
        settings: Score, shuffles, resamples, and the rule whose choice is marked in the pictures; None for
            the defaults.
        out: New diagnosis folder; the old one is never changed unless it is named here.
        overwrite: Replace what stands in ``out``.

    Raises:
        ArtifactError: The folder is no diagnosis, or its files do not belong together.
        UsageError: ``diagnosis`` is not a folder, or the rule cannot be applied.
    """
    folder, settings = Path(diagnosis), settings or ScoringSettings()
    if out is None:
        return _score(folder, settings, None)
    with new_folder(Path(out), overwrite=overwrite) as new:
        return _score(folder, settings, new)


def _score(folder: Path, settings: ScoringSettings, new: Path | None) -> Diagnosis:
    if folder.is_file():
        raise UsageError(
            f"expected the folder of a diagnosis, with {USAGE_FILE} in it, got the file {folder}"
        )
    standing = read_diagnosis(folder)
    usage = UsageReader(folder)
    diagnosed = standing.units
    if diagnosed != usage.layers:
        raise ArtifactError(
            f"{folder} holds files of two diagnoses: {named_units(diagnosed)} in one, "
            f"{named_units(usage.layers)} in the other"
        )
    scoring = score_layers(
        diagnosed,
        usage.layer,
        usage.documents,
        settings,
        [control.name for control in standing.controls],
        usage.surface,
        usage.names,
        usage.outliers,
    )
    rescored = _with_scoring(standing, scoring, settings)
    rule = parse_rule(settings.select) if settings.select else None
    selected = choose_layers(rule, rescored.scores(), rescored.q_values()) if rule else ()
    if new is not None:
        for name in (USAGE_FILE, ATTRIBUTION_FILE, GROUPS_FILE):
            if (folder / name).exists():  # a donor's attribution has nothing to do with the score
                shutil.copyfile(folder / name, new / name)
        write_draws(new, scoring.draws)
        draw_diagnosis(new, rescored, rule, selected)
        write_diagnosis(new, rescored)
    return rescored


def _with_scoring(diagnosis: Diagnosis, scoring: Scoring, settings: ScoringSettings) -> Diagnosis:
    """The diagnosis with other scores; what the SAEs encoded stays."""
    layers = tuple(
        entry.model_copy(
            update={
                **scored._asdict(),
                "top_features": _keep_snippets(entry.top_features, scored.top_features),
            }
        )
        for entry, scored in zip(diagnosis.layers, scoring.layers, strict=True)
    )
    drawn = settings.model_dump(include={"permutations", "bootstrap", "seed"})
    return diagnosis.model_copy(
        update={
            "score": settings.score,
            "layers": layers,
            "others": scoring.others,
            "settings": {**diagnosis.settings, **drawn},
        }
    )


def _keep_snippets(old: tuple[TopFeature, ...], new: tuple[TopFeature, ...]) -> tuple[TopFeature, ...]:
    """Text beside features that had some: finding text for others would need the model."""
    known = {entry.feature: entry.snippets for entry in old}
    return tuple(entry.model_copy(update={"snippets": known.get(entry.feature, ())}) for entry in new)
