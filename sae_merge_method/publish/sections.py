"""Sections of a model card: how the model was made, what changed, and what the experiment says."""

import re
from collections.abc import Sequence
from pathlib import Path

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.diagnosis import PLOT_FILE, Diagnosis, LayerDiagnosis
from sae_merge_method.artifacts.experiment import BY_HAND, TABLE_FILE
from sae_merge_method.compare.table import counted, how_tested, verdict_table
from sae_merge_method.errors import ArtifactError
from sae_merge_method.layers import format_layers
from sae_merge_method.recipe.merged_folder import MergedFolder
from sae_merge_method.recipe.methods import method_named
from sae_merge_method.reports.grid import as_markdown
from sae_merge_method.reports.markdown import bullets, code, plain, section, table

_HEADING = re.compile(r"^(#{1,5}) ", re.MULTILINE)
_BY_HAND = re.compile(rf"^## {BY_HAND}$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def experiment_section(path: Path) -> str:
    """The report of an experiment's folder, or of the Markdown file itself.

    Raises:
        ArtifactError: There is none.
    """
    found = path / TABLE_FILE if path.is_dir() else path
    if not found.is_file():
        raise ArtifactError(f"expected an experiment's folder with {TABLE_FILE}, or such a file, at {path}")
    try:
        text = found.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot read the experiment's report {found}: {error}") from error
    body = _BY_HAND.sub("", re.sub(r"\A\s*# .*\n", "", text))  # without its title: the section has one
    return section("What else was tried", _HEADING.sub(r"#\1 ", body).strip())


def edit_section(merged: MergedFolder) -> str:
    """What was done to the base."""
    n_layers = merged.checkpoint.n_layers
    layers = f"layers {format_layers(merged.layers)} of {n_layers} (counted from 0)"
    formula = method_named(merged.recipe.merge_method).formula
    if merged.report is None:
        return section(
            "What was edited",
            f"The tensors of {layers} became {formula}. All others are the base's.",
        )
    report = merged.report
    return section(
        "What was edited",
        f"{len(report.edited())} of {len(report.tensors)} tensors, those of {layers}, became {formula}. "
        "All others are the base's, byte for byte. There is no extra cost at inference.",
        "`edit_report.json` lists every tensor with its hash; together they give "
        f"{code(report.result_sha256)}.",
    )


def recipe_section(merged: MergedFolder) -> str:
    """The recipe as it was run."""
    fence = "`" * 4  # longer than any that a recipe's comments may hold
    return section("Recipe", f"{fence}yaml\n{merged.recipe_text.strip()}\n{fence}")


def layers_section(diagnosis: Diagnosis, chosen: Sequence[int], rule: str | None, with_plot: bool) -> str:
    """Why these layers: scores, their null and their interval."""
    corpora = " and ".join(
        f"{plain(side.name)} ({side.documents} documents, sha256 {code(side.sha256[:12])})"
        for side in (diagnosis.target, diagnosis.control)
    )
    by = f" by {code(rule)}" if rule else ""
    return section(
        "Why these layers",
        f"Sparse autoencoders listened to {code(diagnosis.model.id)} on target and control text: {corpora}. "
        f"The score {code(diagnosis.score)} says how differently a layer's features are used; "
        f"layers {format_layers(chosen)} were chosen{by}. The formula is this software's: the paper "
        "(arXiv 2605.28649) does not give its own.",
        f"![Specificity of each layer]({PLOT_FILE})" if with_plot else "",
        table(
            ["layer", "edited", diagnosis.score, "interval", "q", "explained variance", "L0"],
            [_layer_row(layer, layer.layer in chosen) for layer in diagnosis.layers],
            text=("layer", "edited"),
        ),
        f"SAEs: {', '.join(_releases(diagnosis))}. q: Benjamini-Hochberg over layers, from shuffled document "
        "labels.",
    )


def verdict_section(comparison: Comparison) -> str:
    """What the edit did to the scores: the table that ``sae-merge compare`` shows."""
    reservations = [f"**Runs differ beside the model** (allowed): {plain(m)}" for m in comparison.mismatches]
    reservations += [plain(note) for note in comparison.notes]
    return section(
        "What changed",
        f"Metric {code(comparison.metric)}, {how_tested(comparison)} at {comparison.alpha:g}: "
        f"{counted(comparison)} (before correction).",
        as_markdown(verdict_table(comparison)),
        bullets(reservations),
    )


def _layer_row(layer: LayerDiagnosis, edited: bool) -> list[str]:
    interval = f"{layer.interval.low:.3g} to {layer.interval.high:.3g}" if layer.interval else ""
    return [
        str(layer.layer),
        "**yes**" if edited else "",
        f"{layer.score:.4g}",
        interval,
        f"{layer.null.q:.3g}" if layer.null else "",
        f"{layer.explained_variance:.2f}",
        f"{layer.l0:.0f}",
    ]


def _releases(diagnosis: Diagnosis) -> list[str]:
    return [code(release) for release in dict.fromkeys(layer.sae.release for layer in diagnosis.layers)]
