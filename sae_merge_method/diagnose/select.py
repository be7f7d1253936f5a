"""What selection rules take of a diagnosis or an attribution, and how often they would take the same."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.attribution import Attribution, read_attribution
from sae_merge_method.artifacts.diagnosis import Diagnosis, Units, diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.draws import ScoreDraws, read_draws
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.artifacts.unit import UnitField
from sae_merge_method.diagnose.beside import scores_beside
from sae_merge_method.diagnose.page import draw_diagnosis
from sae_merge_method.diagnose.plot import plot_specificity
from sae_merge_method.diagnose.specificity import find_score
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.files.lock import locked
from sae_merge_method.files.writing import write_bytes
from sae_merge_method.layers import Unit, by_depth, format_layers, named_units
from sae_merge_method.reports.grid import NOTHING, Grid, plain_grid
from sae_merge_method.reports.notebook import View
from sae_merge_method.selection import (
    RuleText,
    SelectionRule,
    agreement,
    choose_layers,
    overlap,
    parse_rule,
)
from sae_merge_method.spacing import adjacent
from sae_merge_method.statistics.multiplicity import benjamini_hochberg
from sae_merge_method.statistics.permutation import upper_tail


class Selection(Record):
    """One rule's choice."""

    rule: RuleText
    """The rule, as a user writes it."""
    score: str | None = None
    """The score that knows the donor; null for the diagnosis' own."""
    units: Units
    """Scores it was applied to: raw ones where no labels were shuffled."""
    layers: tuple[UnitField, ...]
    """What it takes: layers, or parts of layers such as 11.attn."""
    adjacent: int
    """How many of them have a neighbour among them: what neighbours give is partly the same."""
    frequency: dict[UnitField, float]
    """How often each is chosen over resamples of the documents; only those ever chosen."""
    agreement: float | None
    """Mean overlap of a resample's choice with this one, intersection over union; null without draws."""
    over_halves: float | None
    """Mean overlap with what the rule takes of either half of the sources; null where it needs more than
    scores."""
    over_scores: float | None
    """Mean overlap with what the rule takes by every other score; null where it needs more than scores."""
    over_saes: float | None = None
    """Mean overlap with what the rule takes of diagnoses by other SAEs; null where there are none."""


def select_layers(
    diagnosis: str | Path | Diagnosis,
    rule: str = "top_k=3",
    *,
    units: Units = "corrected",
    beside: Sequence[str | Path] = (),
    score: str | None = None,
) -> Selection:
    """Apply a rule to a diagnosis, then to the scores of every resample of its documents.

    Args:
        diagnosis: Its folder, or its diagnosis.json; of a diagnosis in memory, whose draws are on the disk,
            the choice alone is told.
        rule: Such as top_k=6; see :data:`~sae_merge_method.selection.RULES`.
        units: Scores less what shuffled labels give, or raw.
        beside: Diagnoses of the same model on the same texts, counted alike, by other SAEs: another seed or
            width.
        score: One that knows the donor, of the attribution in that folder, in place of the diagnosis' own;
            its documents are not resampled.

    Raises:
        ArtifactError: No diagnosis, or files of two diagnoses.
        UsageError: The rule cannot be read or applied, or a diagnosis beside differs in more than its SAEs.
    """
    if score is not None:
        if isinstance(diagnosis, Diagnosis) or beside:
            raise UsageError(f"score {score}: expected an attribution's folder, and no diagnosis beside it")
        return _of_attribution(parse_rule(rule), read_attribution(diagnosis), score)
    if isinstance(diagnosis, Diagnosis):
        record, draws = diagnosis, None
    else:
        path = diagnosis_path(diagnosis)
        record, draws = read_diagnosis(path), read_draws(path.parent)
    selection = with_resamples(parse_rule(rule), record, draws, units)
    others = scores_beside(record, beside, selection.units)
    over_saes = agreement(parse_rule(rule), selection.layers, others)
    return selection.model_copy(update={"over_saes": over_saes})


def _of_attribution(rule: SelectionRule, attribution: Attribution, score: str) -> Selection:
    scores = attribution.scores_by(score)
    layers = choose_layers(rule, scores)
    others = [attribution.scores_by(one.name) for one in attribution.scores if one.name != score]
    return Selection(
        rule=str(rule), score=score, units="raw", layers=layers, adjacent=adjacent(layers), frequency={},
        agreement=None, over_halves=None, over_scores=agreement(rule, layers, others),
    )  # fmt: skip


def draw_selection(
    diagnosis: str | Path, selection: Selection, *, plot: str | Path | None = None, mark: bool = False
) -> None:
    """Show a choice in pictures.

    Args:
        diagnosis: The folder, or its diagnosis.json.
        selection: Of this diagnosis.
        plot: Draw the choice as a PNG there.
        mark: Mark it in the diagnosis itself: pictures are redrawn, numbers stay.

    Raises:
        ArtifactError: No diagnosis.
        InUseError: Another process is at work in the folder to be marked.
        UsageError: The choice is not by the diagnosis' own score, which the pictures show.
    """
    if selection.score is not None:
        raise UsageError(
            f"pictures show the diagnosis' own score, and layers were chosen by {selection.score}"
        )
    path = diagnosis_path(diagnosis)
    record = read_diagnosis(path)
    if plot is not None:
        unit = find_score(record.score).unit
        write_bytes(Path(plot), plot_specificity(record, unit, selection.layers))
    if mark:
        with locked(path.parent):
            draw_diagnosis(path.parent, record, parse_rule(selection.rule), selection.layers)


def with_resamples(
    rule: SelectionRule, diagnosis: Diagnosis, draws: ScoreDraws | None, units: Units = "corrected"
) -> Selection:
    """A rule's choice, how often it would be the same, and what other scores and half the documents say.

    A resample's own bias is taken out first, so that its scores surround the true ones; its
    q-values come from comparing them with the same null.

    Raises:
        ArtifactError: The draws are of another diagnosis.
        UsageError: The rule cannot be applied, see :func:`~sae_merge_method.selection.choose_layers`.
    """
    units = units if diagnosis.has_null else "raw"
    scores = diagnosis.scores(units)
    order = tuple(scores) if draws is None else draws.units
    if order != tuple(scores):
        raise ArtifactError(
            f"the draws are of {named_units(order)}, the diagnosis has {named_units(tuple(scores))}"
        )
    layers = choose_layers(rule, scores, diagnosis.q_values())
    selection = Selection(
        rule=str(rule),
        units=units,
        layers=layers,
        adjacent=adjacent(layers),
        frequency={},
        agreement=None,
        over_halves=agreement(rule, layers, _others(diagnosis, "half")),
        over_scores=agreement(rule, layers, _others(diagnosis, "score")),
    )
    if not rule.needs("scores") or draws is None or draws.bootstrap.shape[1] == 0:
        return selection
    raw = np.array([[one.score for one in entry.against] or [entry.score] for entry in diagnosis.layers]).T
    nulls = draws.null.mean(axis=1) if units == "corrected" else np.zeros_like(raw)
    surrounding = draws.bootstrap - draws.bootstrap.mean(axis=1, keepdims=True) + raw[:, None]
    counts = dict.fromkeys(order, 0)
    overlaps = []
    for draw in np.moveaxis(surrounding, 1, 0):
        resampled = dict(zip(order, (draw - nulls).min(axis=0).tolist(), strict=True))
        chosen = choose_layers(rule, resampled, _q_values(draw, draws) if rule.needs("q_values") else None)
        for layer in chosen:
            counts[layer] += 1
        overlaps.append(overlap(chosen, layers))
    n = draws.bootstrap.shape[1]
    frequency = {layer: count / n for layer, count in counts.items() if count}
    return selection.model_copy(update={"frequency": frequency, "agreement": float(np.mean(overlaps))})


def _others(diagnosis: Diagnosis, kind: str) -> list[dict[Unit, float]]:
    return [other.scores for other in diagnosis.others if other.kind == kind]


def _q_values(scores: npt.NDArray[np.float64], draws: ScoreDraws) -> Mapping[Unit, float]:
    """q of one resample, whose scores (C, L) are compared with the nulls of the controls; the largest p
    counts."""
    p_values = [
        max(upper_tail(float(score), null).p for score, null in zip(of_layer, nulls, strict=True))
        for of_layer, nulls in zip(scores.T, np.moveaxis(draws.null, 2, 0), strict=True)
    ]
    return dict(zip(draws.units, benjamini_hochberg(p_values), strict=True))


def selections_grid(selections: Sequence[Selection]) -> Grid:
    """One row a rule: what it takes, and how much of that other documents, scores and SAEs would take."""
    header = (
        "rule", "of scores", "layers", "adjacent", "resamples", "halves", "scores", "SAEs",
        "how often over resamples",
    )  # fmt: skip
    return plain_grid(header, [_selection_row(selection) for selection in selections], words=header)


def selection_view(selection: Selection) -> View:
    """A choice as a notebook shows it."""
    return View((selections_grid([selection]),))


def _selection_row(selection: Selection) -> tuple[str, ...]:
    frequent = sorted(selection.frequency.items(), key=lambda item: (-item[1], by_depth(item[0])))
    return (
        selection.rule,
        selection.score or selection.units,
        format_layers(selection.layers) or "none",
        f"{selection.adjacent} of {len(selection.layers)}",
        *(NOTHING if share is None else f"{share:.2f}" for share in _shares(selection)),
        "  ".join(f"{layer}: {share:.2f}" for layer, share in frequent) or NOTHING,
    )


def _shares(selection: Selection) -> tuple[float | None, ...]:
    return selection.agreement, selection.over_halves, selection.over_scores, selection.over_saes
