"""The model card of a merged folder, from the artifacts that made it.

What stands in README.md already, mergekit's section or the user's words, is kept: only the front
matter and what lies between this module's own marks is written, so that a second run renews it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.comparison import read_comparison
from sae_merge_method.artifacts.diagnosis import PLOT_FILE, Diagnosis, diagnosis_path, read_diagnosis
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.writing import write_bytes, write_text
from sae_merge_method.models.hub import CARD_FILE, is_hub_id, parse_model_id
from sae_merge_method.publish.closing_sections import limits_section, rebuild_section
from sae_merge_method.publish.front_matter import front_matter
from sae_merge_method.publish.licence import find_licence, parse_card
from sae_merge_method.publish.sections import (
    edit_section,
    experiment_section,
    layers_section,
    recipe_section,
    verdict_section,
)
from sae_merge_method.recipe.merged_folder import MergedFolder, open_merged

_BEGIN, _END = "<!-- sae-merge card -->", "<!-- end of sae-merge card -->"
_OURS = re.compile(re.escape(_BEGIN) + r".*?" + re.escape(_END) + r"\n*", re.DOTALL)

_TITLE = re.compile(r"\A# .*")


@dataclass(frozen=True)
class CardChoices:
    """What the user says beside the artifacts."""

    licence: str | None = None
    name: str | None = None
    """Title and name of the results; None for the folder's name."""
    repository: str | None = None
    """Where it will be uploaded, for the commands shown."""
    base: str | None = None
    """Hub id of the base, where the recipe names a folder."""
    donors: Sequence[str] = ()
    """Hub ids of the donors, likewise, in the recipe's order."""


@dataclass(frozen=True)
class WrittenCard:
    """A card, and what it cannot say."""

    path: Path
    missing: tuple[str, ...]


def write_card(
    folder: Path,
    choices: CardChoices,
    diagnosis: Path | None = None,
    comparison: Path | None = None,
    experiment: Path | None = None,
) -> WrittenCard:
    """Write ``README.md`` (and copy the diagnosis' plot) into a merged folder.

    Args:
        folder: The checkpoint.
        choices: What the user says.
        diagnosis: Folder or file of the diagnosis that chose the layers.
        comparison: comparison.json of base and this model, or its folder.
        experiment: Folder of an experiment with controls, or its Markdown report.

    Raises:
        SaeMergeError: An artifact cannot be read or is of another model, or no licence is known.
    """
    merged = open_merged(folder)
    heard = read_diagnosis(diagnosis) if diagnosis else None
    if heard is not None:
        _require_same_base(merged, heard)
    verdict = read_comparison(comparison) if comparison else None
    base_id = parse_model_id(merged.recipe.base_model)
    base = choices.base or base_id.path
    licence = find_licence(choices.licence, base_id)
    models, nameless = _hub_ids(merged, choices)
    name = choices.name or folder.resolve().name
    metadata, body = _standing(folder, name, retitle=choices.name is not None)
    data = front_matter(metadata, name, models, licence, verdict)
    plot = _plot(diagnosis)
    sections = [
        "" if merged.recipe_text in body else recipe_section(merged),
        edit_section(merged),
        _chosen_layers(merged, heard, plot is not None),
        verdict_section(verdict) if verdict else "",
        experiment_section(experiment) if experiment else "",
        rebuild_section(merged, choices.repository, choices.base, choices.donors),
        limits_section(merged, licence, base, nameless, heard, verdict, experiment is not None),
    ]
    ours = "\n\n".join([_BEGIN, *(part for part in sections if part), _END])
    text = f"---\n{data.to_yaml()}\n---\n\n{body.strip()}\n\n{ours}\n"
    if plot is not None and plot.resolve() != (folder / PLOT_FILE).resolve():
        write_bytes(folder / PLOT_FILE, plot.read_bytes())  # in the place of a link, never through it
    write_text(folder / CARD_FILE, text)
    return WrittenCard(folder / CARD_FILE, tuple(nameless))


def _require_same_base(merged: MergedFolder, heard: Diagnosis) -> None:
    if merged.report is not None and merged.report.base_config_sha256 != heard.model.config_sha256:
        raise ArtifactError(
            f"the diagnosis is of {heard.model.id}, which has another config.json than "
            f"the base of {merged.folder} ({merged.recipe.base_model})"
        )
    if heard.model.n_layers != merged.checkpoint.n_layers:
        raise ArtifactError(
            f"the diagnosis is of a model with {heard.model.n_layers} layers, "
            f"{merged.folder} has {merged.checkpoint.n_layers}"
        )


def _chosen_layers(merged: MergedFolder, heard: Diagnosis | None, with_plot: bool) -> str:
    if heard is None:
        return ""
    recorded = (merged.recipe.sae_diagnosis or {}).get("select")
    rule = merged.recipe.parameters.select or (recorded if isinstance(recorded, str) else None)
    return layers_section(heard, merged.layers, rule, with_plot)


def _plot(diagnosis: Path | None) -> Path | None:
    if diagnosis is None:
        return None
    found = diagnosis_path(diagnosis).parent / PLOT_FILE
    return found if found.is_file() else None


def _hub_ids(merged: MergedFolder, choices: CardChoices) -> tuple[list[str], list[str]]:
    """Hub ids of base and donors, and the models that have none."""
    if choices.donors and len(choices.donors) != len(merged.donors):
        raise ArtifactError(
            f"the recipe has {len(merged.donors)} donors ({', '.join(merged.donors)}): "
            f"expected a Hub id for each, got {len(choices.donors)}"
        )
    given = (choices.base, *(choices.donors or (None,) * len(merged.donors)))
    ids, nameless = [], []
    for written, said in zip((merged.recipe.base_model, *merged.donors), given, strict=True):
        for part in parse_model_id(written).parts:
            name = said or part.path
            if is_hub_id(name) and "/" in name and not Path(name).exists():
                ids.append(name)
            else:
                nameless.append(part.path)
    return list(dict.fromkeys(ids)), nameless


def _standing(folder: Path, title: str, retitle: bool) -> tuple[dict[str, Any], str]:
    """Front matter and body of the card that is there; a title alone where there is none."""
    path = folder / CARD_FILE
    if not path.exists():
        return {}, f"# {title}"
    try:
        card = parse_card(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} cannot be read as a model card: {error}") from error
    body = _OURS.sub("", card.body).strip() or f"# {title}"
    return card.metadata, _TITLE.sub(lambda _: f"# {title}", body) if retitle else body
