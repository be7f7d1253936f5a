"""The sections of a model card, each a function from what is known to Markdown.

How the model was made, what changed, how to make it again. Which of them a card has is for ``card``.
"""

import shlex
from collections.abc import Sequence

from sae_merge_method import __version__
from sae_merge_method.artifacts.attribution_summary import AttributionSummary
from sae_merge_method.artifacts.diagnosis import PLOT_FILE, Diagnosis
from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport
from sae_merge_method.artifacts.layer_diagnosis import LITTLE_EXPLAINED, LayerDiagnosis
from sae_merge_method.layers import LayerModule, Unit, format_layers, how_open, named_units, units_word
from sae_merge_method.publish.by_mergekit import mergekit_words
from sae_merge_method.recipe.merged_folder import MergedFolder
from sae_merge_method.recipe.methods import method_named
from sae_merge_method.recipe.precision import rounding_of, told_by
from sae_merge_method.reports import numbers
from sae_merge_method.reports.grid import Cell, Grid, as_markdown
from sae_merge_method.reports.markdown import bullets, code, fence, plain, section
from sae_merge_method.verdict_tables.attributed import HOW_CARRIED, carried_grid

REBUILD = "sae-merge rebuild "
"""How the command begins that a card says how to rebuild by."""


def recipe_section(merged: MergedFolder) -> str:
    """The recipe as it was run."""
    return section("Recipe", fence(merged.recipe_text.strip(), "yaml"))


def edit_section(merged: MergedFolder) -> str:
    """What was done to the base."""
    n_layers = merged.checkpoint.n_layers
    layers = f"{named_units(merged.layers, n_layers)} (counted from 0)"
    report, rounding = merged.report, rounding_of(merged.recipe.parameters)
    told = told_by(report, merged.recipe.target_dtype)
    formula = f"{method_named(merged.recipe.merge_method).formula}, {told.rounds}"
    if rounding.unbiased:
        formula += f", by {code(f'rounding: {rounding.kind}')} with seed {rounding.seed}"
    if report is None:
        return section(
            "What was edited",
            f"The tensors of {layers} became {formula}. All others are {told.kept}.",
        )
    return section(
        "What was edited",
        f"{len(report.edited())} of {len(report.tensors)} tensors, those of {layers}, became {formula}. "
        f"All others are {told.kept}. There is no extra cost at inference.",
        *_stored(report),
        f"{code(REPORT_FILE)} lists every tensor with its hash; together they give "
        f"{code(report.result_sha256)}."
        if report.result_sha256 is not None
        else f"{code(REPORT_FILE)} lists every tensor, the edited ones with their hash.",
    )


def _stored(report: EditReport) -> list[str]:
    """What of the edit the stored dtype holds; nothing where there was nothing to add."""
    if report.share is None:
        return []
    cosine = "" if report.cosine is None else f", cosine {report.cosine:.2f}"
    return [
        f"Stored of it: {numbers.percent(report.share)} of its energy{cosine}; "
        f"{numbers.percent(report.changed)} of these tensors' values differ from the base's."
    ]


def layers_section(diagnosis: Diagnosis, selected: Sequence[Unit], rule: str | None, with_plot: bool) -> str:
    """Why these layers: scores, their null and their interval.

    Args:
        diagnosis: What chose them.
        selected: What was chosen, layers or parts of them.
        rule: How they were chosen, where that is known.
        with_plot: Whether the diagnosis' plot lies beside the card.
    """
    corpora = " and ".join(
        f"{plain(side.name)} ({side.documents} documents, sha256 {code(side.sha256[:12])})"
        for side in (diagnosis.target, *diagnosis.controls)
    )
    by = f" by {code(rule)}" if rule else ""
    one = units_word(diagnosis.units)[:-1]
    words = (one, "edited")
    grid = Grid(
        (*words, diagnosis.score, "corrected", "estimate", "interval", "q", "explained variance", "L0"),
        tuple(_layer_row(layer, _edited(layer.unit, selected)) for layer in diagnosis.layers),
        words=frozenset(words),
    )
    releases = dict.fromkeys(layer.sae.release for layer in diagnosis.layers)
    return section(
        f"Why these {one}s",
        f"Sparse autoencoders read the activations of {code(diagnosis.model.id)} on target and control text: "
        f"{corpora}. The score {code(diagnosis.score)} says how differently a {one}'s features are used; "
        f"{named_units(selected)} were chosen{by}. The formula is this software's: the paper "
        "(arXiv 2605.28649) does not give its own.",
        _little_explained(diagnosis.layers, selected),
        f"![Specificity of each {one}]({PLOT_FILE})" if with_plot else "",
        as_markdown(grid),
        plain(diagnosis.without_saes() or ""),
        f"SAEs: {', '.join(map(code, releases))}. Corrected: less the mean under shuffled labels, which "
        f"{one}s are chosen by. Estimate and interval: for unlimited documents. q: Benjamini-Hochberg over "
        f"{one}s, whether usage differs at all.",
    )


def attribution_section(summary: AttributionSummary, edited: Sequence[Unit]) -> str:
    """What each layer carries of the donor's gain and damage.

    Args:
        summary: Of an attribution.
        edited: The layers of this model's edit, whole or in part.
    """
    return section(
        "What each layer carries of the donor",
        bullets([plain(line) for line in summary.sentences(edited)]),
        as_markdown(carried_grid(summary, edited)),
        plain(f"Of {summary.donor}. {HOW_CARRIED}"),
    )


def _little_explained(layers: Sequence[LayerDiagnosis], selected: Sequence[Unit]) -> str:
    """Which SAEs do not fit the activations; empty where all do."""
    poor = [one for one in layers if one.explained_variance < LITTLE_EXPLAINED]
    if not poor:
        return ""
    chosen = [one.unit for one in poor if _edited(one.unit, selected)]
    among = (
        f", of the selected ones in {format_layers(chosen)}" if chosen else ", in none of the selected ones"
    )
    return (
        f"**The SAEs explain less than {LITTLE_EXPLAINED:.0%} of the variance** in {len(poor)} of "
        f"{len(layers)} {units_word([one.unit for one in layers])}{among}: a score says little where the SAE "
        "does not fit, and so does a choice by it."
    )


def _edited(diagnosed: Unit, selected: Sequence[Unit]) -> str:
    """How much of what was diagnosed is edited, for a table's cell."""
    if isinstance(diagnosed, LayerModule):
        return "yes" if diagnosed in selected or diagnosed.layer in selected else ""
    return how_open(diagnosed, selected)


def _layer_row(layer: LayerDiagnosis, edited: str) -> tuple[Cell, ...]:
    interval, null = layer.interval, layer.null
    between = f"{numbers.magnitude(interval.low)} to {numbers.magnitude(interval.high)}" if interval else ""
    return (
        Cell(str(layer.unit), layer.layer),
        Cell(edited, strong=bool(edited)),
        Cell(numbers.score(layer.score, share=False), layer.score),
        Cell(numbers.magnitude(null.corrected), null.corrected) if null else Cell(""),
        Cell(numbers.magnitude(interval.estimate), interval.estimate) if interval else Cell(""),
        Cell(between, interval.low if interval else None),
        Cell(numbers.magnitude(null.q), null.q) if null else Cell(""),
        Cell(numbers.decimal(layer.explained_variance, 2), layer.explained_variance),
        Cell(numbers.decimal(layer.l0, 0), layer.l0),
    )


def rebuild_section(
    merged: MergedFolder, repository: str | None, base: str | None, donors: Sequence[str]
) -> str:
    """Three commands.

    Args:
        merged: The model.
        repository: Its id on the Hub, or None for the folder at hand.
        base: Hub id of the base, where the recipe names a folder.
        donors: Hub ids of the donors, where the recipe names folders.
    """
    source = repository or "."
    renamed = [("--base", base)] if base else []
    renamed += [("--donor", donor) for donor in donors]
    options = "".join(f" {option} {shlex.quote(name)}" for option, name in renamed)
    commands = [
        f"pip install .  # in a checkout of sae-merge-method {__version__}",
        f"{REBUILD}{shlex.quote(source)} rebuilt/{options}",
        "sae-merge verify rebuilt/",
    ]
    where = "" if repository else " in this folder"
    by_report = (
        repository is not None and merged.report is not None and merged.report.result_sha256 is not None
    )
    hashes = "merges by the same recipe again and compares every tensor" + (
        f"'s hash with those in {code(REPORT_FILE)}" if by_report else " with this model's"
    )
    return section(
        "Rebuild and verify",
        fence("\n".join(commands), "sh"),
        f"The second command{where} {hashes}; the third holds the result against base and donor, "
        f"bit for bit. {mergekit_words(merged)}",
    )
