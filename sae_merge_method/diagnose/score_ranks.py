"""How scores of layers rank with depth, and with the same score for another target: what they owe to neither.

A score that ranks the layers of one ability as it ranks those of another does not see the ability, and one
that ranks with depth says little that is not known without it. Profiles are smooth, so a rank correlation is
held against shifted and mirrored profiles (:func:`~sae_merge_method.statistics.curves.curve_correlation`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.attribution import Attribution, attribution_path, read_attribution
from sae_merge_method.artifacts.diagnosis import Diagnosis, diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.fingerprint import Fingerprint
from sae_merge_method.errors import UsageError
from sae_merge_method.layers import Unit, layer_of, part_of_layer
from sae_merge_method.models.parts import PARTS
from sae_merge_method.reports.grid import NOTHING, Cell, Grid
from sae_merge_method.statistics.curves import CurveCorrelation, curve_correlation

BLIND = 0.9
"""Rank correlation from which on a score's layers for one target are those for another."""


class ScoreRank(NamedTuple):
    """How one score ranks."""

    score: str
    depth: CurveCorrelation | None
    """With the layer's number; None below three layers."""
    other: CurveCorrelation | None = None
    """With the same score for another target; None without one that has it."""


class Scored(NamedTuple):
    """All scores of one diagnosis, or of one attribution."""

    target: str
    """Name of the text."""
    target_sha256: str
    base: Fingerprint
    scores: Mapping[str, Mapping[Unit, float]]
    """By name, the score of every layer, or of every layer's attention or MLP, that has it."""


def scored_in(at: str | Path, *, knows_donor: bool) -> Scored:
    """Read the scores of a folder or file.

    Args:
        at: Of a diagnosis, or of an attribution.
        knows_donor: Whether those of the attribution are meant.

    Raises:
        ArtifactError: There is none.
    """
    if knows_donor or not diagnosis_path(at).is_file():
        return of_attribution(read_attribution(attribution_path(at)))
    return of_diagnosis(read_diagnosis(at))


def of_diagnosis(diagnosis: Diagnosis) -> Scored:
    """Its own score, and every other formula's on the same documents."""
    others = {one.name: one.scores for one in diagnosis.others if one.kind == "score"}
    return Scored(
        diagnosis.target.name,
        diagnosis.target.sha256,
        diagnosis.model.fingerprint,
        _by_part({diagnosis.score: diagnosis.scores(), **others}),
    )


def _by_part(scores: Mapping[str, Mapping[Unit, float]]) -> dict[str, dict[Unit, float]]:
    """Each score of each part for itself: attention and MLP in turn are no smooth profile."""
    parts = [*dict.fromkeys(part_of_layer(unit) for of_all in scores.values() for unit in of_all)]
    return {
        name if part is None else f"{name} of {PARTS[part].title}": {
            unit: score for unit, score in of_all.items() if part_of_layer(unit) == part
        }
        for name, of_all in scores.items()
        for part in parts
    }


def of_attribution(attribution: Attribution) -> Scored:
    """All its scores."""
    return Scored(
        attribution.target.name,
        attribution.target.sha256,
        attribution.base.fingerprint,
        _by_part({one.name: dict(attribution.scores_by(one.name).items()) for one in attribution.scores}),
    )


def score_ranks(scored: Scored, other: Scored | None = None) -> list[ScoreRank]:
    """How each score ranks, with depth and with the same one for another target.

    Raises:
        UsageError: The other is of the same target, of another model, or has none of the scores.
    """
    if other is not None:
        _require_other_target(scored, other)
    return [
        ScoreRank(
            name,
            curve_correlation(list(scores.values()), [layer_of(unit) for unit in scores]),
            None if other is None else _with_other(scores, other.scores.get(name, {})),
        )
        for name, scores in scored.scores.items()
    ]


def _require_other_target(scored: Scored, other: Scored) -> None:
    if other.base.agrees_in(scored.base) is None:
        raise UsageError(f"--other-target: the scores for {other.target} are of another model's layers")
    if other.target_sha256 == scored.target_sha256:
        raise UsageError(f"--other-target: expected another target than {scored.target}, got the same text")
    if not scored.scores.keys() & other.scores.keys():
        raise UsageError(
            f"--other-target: expected one of the scores {', '.join(scored.scores)} for {other.target} too, "
            f"got {', '.join(other.scores)}"
        )


def _with_other(scores: Mapping[Unit, float], others: Mapping[Unit, float]) -> CurveCorrelation | None:
    layers = [layer for layer in scores if layer in others]
    return curve_correlation([scores[layer] for layer in layers], [others[layer] for layer in layers])


def ranks_grid(ranks: Sequence[ScoreRank], other: str | None = None) -> Grid:
    """One row a score; ``other`` is the other target's name."""
    header = ("score", "with depth", "p", *((f"with {other}", "its p") if other else ()))
    rows = tuple(
        (Cell(one.score, one.score), *_cells(one.depth), *(_cells(one.other) if other else ()))
        for one in ranks
    )
    return Grid(header, rows, words=frozenset(("score",)), title="how scores rank")


def _cells(correlation: CurveCorrelation | None) -> tuple[Cell, Cell]:
    if correlation is None or correlation.rho is None or correlation.p is None:
        return Cell(NOTHING), Cell(NOTHING)
    return Cell(f"{correlation.rho:+.2f}", correlation.rho), Cell(f"{correlation.p:.2f}", correlation.p)


def blindness(ranks: Sequence[ScoreRank], target: str, other: str) -> list[str]:
    """Of each score that does not tell the targets apart, that it does not."""
    return [
        f"{one.score} ranks the layers for {target} as for {other} (rank correlation {one.other.rho:+.2f}): "
        "it does not see which of them is asked for"
        for one in ranks
        if one.other is not None and one.other.rho is not None and one.other.rho >= BLIND
    ]


def depth_sentence(diagnosis: Diagnosis) -> str | None:
    """How a diagnosis' score ranks with depth; None where it cannot be told."""
    own = _by_part({diagnosis.score: diagnosis.scores()})
    told = [
        f"{one.score} ranks with the layer's number at {one.depth.rho:+.2f} (p {one.depth.p:.2f}"
        for one in score_ranks(of_diagnosis(diagnosis))
        if one.score in own and one.depth and one.depth.rho is not None and one.depth.p is not None
    ]
    if not told:
        return None
    first, *others = told
    also = "".join(f", {one})" for one in others)
    return (
        f"Depth: {first} among shifted and mirrored profiles){also}: what depth alone tells is known "
        "without it."
    )
