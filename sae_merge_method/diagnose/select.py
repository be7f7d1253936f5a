"""What selection rules take of a diagnosis, and how often they would take the same."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.diagnosis import Diagnosis, diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.draws import ScoreDraws, read_draws
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.diagnose.page import draw_diagnosis
from sae_merge_method.diagnose.plot import plot_specificity
from sae_merge_method.diagnose.specificity import find_score
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.files.lock import locked
from sae_merge_method.files.writing import write_bytes
from sae_merge_method.layers import format_layers
from sae_merge_method.reports.grid import NOTHING, Grid, plain_grid
from sae_merge_method.reports.notebook import View
from sae_merge_method.selection import RuleText, SelectionRule, choose_layers, parse_rule
from sae_merge_method.statistics.multiplicity import benjamini_hochberg
from sae_merge_method.statistics.permutation import upper_tail

Units = Literal["raw", "corrected"]
"""Scores as they are, or less the mean of shuffled labels."""


class Selection(Record):
    """One rule's choice."""

    rule: RuleText
    """The rule, as a user writes it."""
    layers: tuple[int, ...]
    """What it takes of the scores as they are."""
    frequency: dict[int, float]
    """How often each layer is chosen over resamples of the documents; only layers ever chosen."""
    agreement: float | None
    """Mean overlap of a resample's choice with this one, intersection over union; null without draws."""


def scores_in(units: Units, diagnosis: Diagnosis) -> dict[int, float]:
    """Scores by layer, raw or with the null's mean taken off.

    Corrected scores mean the same across models and widths: 0 is what shuffled labels give.

    Raises:
        UsageError: Corrected scores of a diagnosis without a null.
    """
    if units == "raw":
        return diagnosis.scores()
    corrected = {entry.layer: entry.null.corrected for entry in diagnosis.layers if entry.null}
    if len(corrected) < len(diagnosis.layers):
        raise UsageError("null-corrected scores need a null: this diagnosis was made with --permutations 0")
    return corrected


def select_layers(
    diagnosis: str | Path | Diagnosis, rule: str = "top_k=3", *, units: Units = "raw"
) -> Selection:
    """Apply a rule to a diagnosis, then to the scores of every resample of its documents.

    Args:
        diagnosis: Its folder, or its diagnosis.json; of a diagnosis in memory, whose draws are on the disk,
            the choice alone is told.
        rule: Such as top_k=6; see :data:`~sae_merge_method.selection.RULES`.
        units: Thresholds that are to carry across models want corrected scores.

    Raises:
        ArtifactError: No diagnosis, or files of two diagnoses.
        UsageError: The rule cannot be read or applied.
    """
    if isinstance(diagnosis, Diagnosis):
        layers = choose_layers(parse_rule(rule), scores_in(units, diagnosis), diagnosis.q_values())
        return Selection(rule=rule, layers=layers, frequency={}, agreement=None)
    path = diagnosis_path(diagnosis)
    return with_resamples(parse_rule(rule), read_diagnosis(path), read_draws(path.parent), units)


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
    """
    path = diagnosis_path(diagnosis)
    record = read_diagnosis(path)
    if plot is not None:
        unit = find_score(record.score).unit
        write_bytes(Path(plot), plot_specificity(record, unit, selection.layers))
    if mark:
        with locked(path.parent):
            draw_diagnosis(path.parent, record, parse_rule(selection.rule), selection.layers)


def with_resamples(
    rule: SelectionRule, diagnosis: Diagnosis, draws: ScoreDraws, units: Units = "raw"
) -> Selection:
    """A rule's choice, and how often it would be the same.

    A resample's own bias is taken out first, so that its scores surround the true ones; its
    q-values come from comparing them with the same null.

    Raises:
        ArtifactError: The draws are of another diagnosis.
        UsageError: The rule cannot be applied, see :func:`~sae_merge_method.selection.choose_layers`.
    """
    scores = scores_in(units, diagnosis)
    order = tuple(int(layer) for layer in draws.layers)
    if order != tuple(scores):
        raise ArtifactError(f"the draws are of layers {order}, the diagnosis has {tuple(scores)}")
    layers = choose_layers(rule, scores, diagnosis.q_values())
    if not rule.needs("scores") or draws.bootstrap.shape[1] == 0:
        return Selection(rule=str(rule), layers=layers, frequency={}, agreement=None)
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
        overlaps.append(_overlap(set(chosen), set(layers)))
    n = draws.bootstrap.shape[1]
    frequency = {layer: count / n for layer, count in counts.items() if count}
    agreement = float(np.mean(overlaps))
    return Selection(rule=str(rule), layers=layers, frequency=frequency, agreement=agreement)


def _q_values(scores: npt.NDArray[np.float64], draws: ScoreDraws) -> Mapping[int, float]:
    """q of one resample, whose scores (C, L) are compared with the nulls of the controls; the largest p
    counts."""
    p_values = [
        max(upper_tail(float(score), null).p for score, null in zip(of_layer, nulls, strict=True))
        for of_layer, nulls in zip(scores.T, np.moveaxis(draws.null, 2, 0), strict=True)
    ]
    return dict(zip(draws.layers.tolist(), benjamini_hochberg(p_values), strict=True))


def _overlap(one: set[int], other: set[int]) -> float:
    """Jaccard's index; two empty choices agree."""
    return len(one & other) / len(one | other) if one | other else 1.0


def selections_grid(selections: Sequence[Selection]) -> Grid:
    """One row a rule: what it takes, how alike resamples are, and how often each layer is taken."""
    header = ("rule", "layers", "agreement", "how often over resampled documents")
    return plain_grid(header, [_selection_row(selection) for selection in selections], words=header)


def selection_view(selection: Selection) -> View:
    """A choice as a notebook shows it."""
    return View((selections_grid([selection]),))


def _selection_row(selection: Selection) -> tuple[str, ...]:
    frequent = sorted(selection.frequency.items(), key=lambda item: (-item[1], item[0]))
    return (
        selection.rule,
        format_layers(selection.layers) or "none",
        NOTHING if selection.agreement is None else f"{selection.agreement:.2f}",
        "  ".join(f"{layer}: {share:.2f}" for layer, share in frequent) or NOTHING,
    )
