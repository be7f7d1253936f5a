"""What a selection rule takes of a diagnosis, how often it would take the same, and both as text."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.diagnosis import Diagnosis, LayerDiagnosis, ScoreDraws
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.layers import format_layers
from sae_merge_method.selection import SelectionRule, select_layers
from sae_merge_method.statistics.multiplicity import benjamini_hochberg
from sae_merge_method.statistics.permutation import upper_tail

UNITS = ("raw", "corrected")


class Selection(NamedTuple):
    """One rule's choice."""

    rule: SelectionRule
    layers: tuple[int, ...]
    frequency: dict[int, float]
    """How often each layer is chosen over resamples of the documents; only layers ever chosen."""
    agreement: float | None
    """Mean overlap of a resample's choice with this one, intersection over union; None without draws."""


def scores_in(units: str, diagnosis: Diagnosis) -> dict[int, float]:
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


def apply_rule(rule: SelectionRule, diagnosis: Diagnosis, draws: ScoreDraws, units: str = "raw") -> Selection:
    """Apply a rule to the scores, then to the scores of every resample.

    A resample's own bias is taken out first, so that its scores surround the true ones; its
    q-values come from comparing them with the same null.

    Raises:
        ArtifactError: The draws are of another diagnosis.
        UsageError: The rule cannot be applied, see :func:`~sae_merge_method.selection.select_layers`.
    """
    scores = scores_in(units, diagnosis)
    order = tuple(int(layer) for layer in draws.layers)
    if order != tuple(scores):
        raise ArtifactError(f"the draws are of layers {order}, the diagnosis has {tuple(scores)}")
    layers = select_layers(rule, scores, diagnosis.q_values())
    if not rule.needs("scores") or len(draws.bootstrap) == 0:
        return Selection(rule, layers, {}, None)
    raw = np.array(list(diagnosis.scores().values()))
    shift = np.array(list(scores.values())) - raw
    counts = dict.fromkeys(order, 0)
    overlaps = []
    for draw in draws.bootstrap - draws.bootstrap.mean(axis=0) + raw:
        resampled = dict(zip(order, (draw + shift).tolist(), strict=True))
        chosen = select_layers(rule, resampled, _q_values(draw, draws) if rule.needs("q_values") else None)
        for layer in chosen:
            counts[layer] += 1
        overlaps.append(_overlap(set(chosen), set(layers)))
    n = len(draws.bootstrap)
    frequency = {layer: count / n for layer, count in counts.items() if count}
    return Selection(rule, layers, frequency, float(np.mean(overlaps)))


def _q_values(scores: npt.NDArray[np.float64], draws: ScoreDraws) -> Mapping[int, float]:
    p_values = [upper_tail(float(score), null).p for score, null in zip(scores, draws.null.T, strict=True)]
    return dict(zip(draws.layers.tolist(), benjamini_hochberg(p_values), strict=True))


def _overlap(one: set[int], other: set[int]) -> float:
    """Jaccard's index; two empty choices agree."""
    return len(one & other) / len(one | other) if one | other else 1.0


_HEADER = ("layer", "score", "corrected", "p", "q", "interval", "explained", "L0")


def format_table(diagnosis: Diagnosis, chosen: tuple[int, ...] = ()) -> str:
    """One line a layer; chosen layers are marked with an asterisk."""
    return _columns([_HEADER, *(_row(entry, entry.layer in chosen) for entry in diagnosis.layers)])


def format_selections(selections: Sequence[Selection]) -> str:
    """One line a rule: what it takes, how alike resamples are, and how often each layer is taken."""
    rows = [("rule", "layers", "agreement", "how often over resampled documents")]
    for selection in selections:
        frequent = sorted(selection.frequency.items(), key=lambda item: (-item[1], item[0]))
        rows.append(
            (
                str(selection.rule),
                format_layers(selection.layers) or "none",
                "-" if selection.agreement is None else f"{selection.agreement:.2f}",
                "  ".join(f"{layer}: {share:.2f}" for layer, share in frequent) or "-",
            )
        )
    return _columns(rows, left=True)


def _columns(rows: Sequence[tuple[str, ...]], left: bool = False) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines.append("  ".join(cell.ljust(width) if left else cell.rjust(width) for cell, width in cells))
    return "\n".join(line.rstrip() for line in lines)


def _row(entry: LayerDiagnosis, chosen: bool) -> tuple[str, ...]:
    null, interval = entry.null, entry.interval
    return (
        f"{'*' if chosen else ''}{entry.layer}",
        f"{entry.score:.4f}",
        f"{null.corrected:+.4f}" if null else "-",
        f"{null.p:.4f}" if null else "-",
        f"{null.q:.4f}" if null else "-",
        f"{interval.low:.4f} to {interval.high:.4f}" if interval else "-",
        f"{entry.explained_variance:.3f}",
        f"{entry.l0:.1f}",
    )
