"""Another score for a diagnosis that stands, from the stored usage: no model, no SAE."""

import shutil
from pathlib import Path

from sae_merge_method.artifacts.diagnosis import (
    PLOT_FILE,
    USAGE_FILE,
    Diagnosis,
    TopFeature,
    read_diagnosis,
    write_diagnosis,
    write_draws,
)
from sae_merge_method.artifacts.usage import UsageReader
from sae_merge_method.diagnose.page import write_report
from sae_merge_method.diagnose.plot import write_plot
from sae_merge_method.diagnose.scoring import Scoring, ScoringSettings, score_layers
from sae_merge_method.diagnose.specificity import find_score
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.files.folders import new_folder
from sae_merge_method.selection import SelectionRule, select_layers


def rescore(
    folder: Path,
    name: str,
    settings: ScoringSettings,
    out: Path | None = None,
    overwrite: bool = False,
    rule: SelectionRule | None = None,
) -> Diagnosis:
    """Score a diagnosis anew, and write it to ``out`` where one is given.

    Args:
        folder: A diagnosis with its stored usage.
        name: Name of the score.
        settings: Shuffles, resamples and seed.
        out: New diagnosis folder; the old one is never changed unless it is named here.
        overwrite: Replace what stands in ``out``.
        rule: Its choice is marked in the pictures.

    Raises:
        ArtifactError: The folder is no diagnosis, or its files do not belong together.
        UsageError: No such score, or ``folder`` is not a folder.
    """
    score = find_score(name)
    if folder.is_file():
        raise UsageError(
            f"expected the folder of a diagnosis, with {USAGE_FILE} in it, got the file {folder}"
        )
    diagnosis = read_diagnosis(folder)
    usage = UsageReader(folder)
    heard = tuple(entry.layer for entry in diagnosis.layers)
    if heard != usage.layers:
        raise ArtifactError(
            f"{folder} holds files of two diagnoses: layers {list(heard)} in one, "
            f"{list(usage.layers)} in the other"
        )
    scoring = score_layers(score, heard, usage.layer, usage.documents, settings)
    rescored = with_scoring(diagnosis, score.name, scoring, settings)
    chosen = select_layers(rule, rescored.scores(), rescored.q_values()) if rule else ()
    if out is not None:
        with new_folder(out, overwrite=overwrite) as new:
            shutil.copyfile(folder / USAGE_FILE, new / USAGE_FILE)
            write_draws(new, scoring.draws)
            write_plot(new / PLOT_FILE, rescored, score.unit, chosen)
            write_report(new, rescored, score.unit, chosen)
            write_diagnosis(new, rescored)
    return rescored


def mark(folder: Path, diagnosis: Diagnosis, chosen: tuple[int, ...]) -> None:
    """Draw a diagnosis folder's plot and page anew, with these layers marked; its numbers stay."""
    unit = find_score(diagnosis.score).unit
    write_plot(folder / PLOT_FILE, diagnosis, unit, chosen)
    write_report(folder, diagnosis, unit, chosen)


def with_scoring(diagnosis: Diagnosis, name: str, scoring: Scoring, settings: ScoringSettings) -> Diagnosis:
    """The diagnosis with other scores; what was heard stays."""
    layers = tuple(
        entry.model_copy(
            update={
                **scored._asdict(),
                "top_features": _keep_snippets(entry.top_features, scored.top_features),
            }
        )
        for entry, scored in zip(diagnosis.layers, scoring.layers, strict=True)
    )
    drawn = {
        "permutations": settings.permutations,
        "bootstrap": settings.resamples,
        "seed": settings.seed,
    }
    return diagnosis.model_copy(
        update={"score": name, "layers": layers, "settings": {**diagnosis.settings, **drawn}}
    )


def _keep_snippets(old: tuple[TopFeature, ...], new: tuple[TopFeature, ...]) -> tuple[TopFeature, ...]:
    """Text beside features that had some: finding text for others would need the model."""
    known = {entry.feature: entry.snippets for entry in old}
    return tuple(entry.model_copy(update={"snippets": known.get(entry.feature, ())}) for entry in new)
