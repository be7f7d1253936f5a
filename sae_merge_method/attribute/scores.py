"""Scores of layers that know the donor, by name: pure functions of sums over texts, with intervals.

Their rivals, which know the donor but no slope, or slopes but no donor, stand in the same table: whatever is
claimed for a score has to be more than they give.

What is uncertain about a score is its documents: an interval is told from groups of their sources. A layer's
gain was measured, no shuffle of labels makes it another; the null that fits is that no layer stands out, and
a p is of the layer's distance from the mean of all. Which neighbours a score prefers is smooth in depth: a
correlation of scores over layers is held against shifted and mirrored profiles. Where a score is a share
among an SAE's features, those are dealt out anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.attribution_groups import TextGroups
from sae_merge_method.artifacts.donor_score import DepthCorrelation, DonorScore, LayerScore
from sae_merge_method.attribute.jackknife import Kept, Spread, jackknife
from sae_merge_method.statistics.curves import curve_correlation
from sae_merge_method.statistics.multiplicity import adjusted, benjamini_hochberg
from sae_merge_method.statistics.permutation import upper_tail

Floats = npt.NDArray[np.float64]

MEAN_LAYER = "the mean of all layers, over groups of sources"
"""What a layer's p is held against where the row says nothing else."""
_BY_TENSOR = ("first_order", "squares", "path")
"""Fields of :class:`TextGroups` that are summed by tensor."""


class _Totals:
    """A text's sums over groups, by layer: the fields of :class:`TextGroups`, (L,) each, and ``tokens``."""

    def __init__(self, sums: TextGroups, layer_of: npt.NDArray[np.int64], kept: Kept) -> None:
        self._sums, self._layer_of, self._kept = sums, layer_of, kept
        self.tokens = int(sums.tokens[kept].sum())

    def gain(self, field: str) -> Floats:
        """(L,) of what is summed by tensor or by layer, a predicted token."""
        return self.total(field) / self.tokens

    def total(self, field: str) -> Floats:
        """(L,) of what is summed by tensor or by layer."""
        total = getattr(self._sums, field)[self._kept].sum(0)
        if field not in _BY_TENSOR:
            return np.asarray(total)
        inside = self._layer_of >= 0
        by_layer: Floats = np.zeros(int(self._layer_of.max()) + 1)
        np.add.at(by_layer, self._layer_of[inside], total[inside])
        return by_layer

    @property
    def dealt(self) -> Floats:
        """(R, S) draws, over all groups whichever are kept."""
        return self._sums.dealt


Formula = Callable[[_Totals, Sequence[_Totals]], Floats]
"""From the target's sums and the controls' to scores (L,) or (S,); higher for layers to edit."""


@dataclass(frozen=True)
class DonorScoreRow:
    """A named score of a layer: one row of the registry."""

    name: str
    description: str
    """What it measures, for help texts and reports."""
    unit: str
    source: str
    """Where the formula is from; "ours" where it is from nowhere else."""
    needs: tuple[str, ...]
    """Fields of :class:`TextGroups` that it reads: a score is told where they were measured."""
    formula: Formula
    null: str = MEAN_LAYER
    """What a layer's p is held against."""
    draws: Callable[[_Totals], Floats] | None = None
    """From the target's sums to (R, S) scores under that null; None where the jackknife tells p."""


def _gain(field: str) -> Formula:
    return lambda target, controls: target.gain(field)


def _per_damage(target: _Totals, controls: Sequence[_Totals]) -> Floats:
    """Gain over damage, the largest over the controls, and never less than layers have in the mean.

    Damage that is next to nothing, or below it, would make any gain infinite.
    """
    damage = np.maximum(0.0, np.max([-control.gain("path") for control in controls], axis=0))
    least = float(damage.mean()) or 1.0
    return np.asarray(target.gain("path") / (damage + least))


def _fisher(target: _Totals, controls: Sequence[_Totals]) -> Floats:
    """Diagonal of the empirical Fisher information, summed over a layer: squared gradients a token."""
    of_control = np.max([control.gain("squares") for control in controls], axis=0)
    return np.asarray(target.gain("squares") / np.maximum(of_control, np.finfo(np.float64).tiny))


def _apart(target: _Totals, controls: Sequence[_Totals]) -> Floats:
    return _share_apart(target.total("apart"), target)


def _share_apart(apart: Floats, target: _Totals) -> Floats:
    """Nats that pass through features of the target's own, over all that pass there, elsewhere, in the error.

    Each of the three without its sign below the line, so that it lies between -1 and 1, where they cancel,
    too; below 0 where what passes apart is damage.
    """
    features, error = target.total("through_features"), target.total("through_error")
    passing = np.abs(apart) + np.abs(features - apart) + np.abs(error)
    share: Floats = np.divide(apart, passing, out=np.zeros_like(passing), where=passing > 0)
    return share


def _of_read(field: str) -> Formula:
    return lambda target, controls: np.asarray(target.total(field) / np.maximum(target.total("read"), 1))


DONOR_SCORES: dict[str, DonorScoreRow] = {
    row.name: row
    for row in (
        DonorScoreRow(
            "attributed_gain", "the layer's part of what the donor gains on the target, along the path",
            "nats a token", "after Sundararajan et al., arXiv 1703.01365, for weights",
            ("path",), _gain("path"),
        ),
        DonorScoreRow(
            "attributed_gain_per_damage",
            "attributed gain over damage to the control that suffers most, at least the mean layer's",
            "ratio", "ours",
            ("path",), _per_damage,
        ),
        DonorScoreRow(
            "first_order_gain", "slope of the target's loss at the base along the layer's task vector: its "
            "gain at small weights, times one", "nats a token", "after Molchanov et al., arXiv 1906.10771",
            ("first_order",), _gain("first_order"),
        ),
        DonorScoreRow(
            "probe_gain", "what the target gains when the layer alone is injected",
            "nats a token", "measured",
            ("probes",), _gain("probes"),
        ),
        DonorScoreRow(
            "fisher_ratio", "squared gradients on the target over those on the control where they are "
            "largest; it has not seen the donor", "ratio", "after Kirkpatrick et al., arXiv 1612.00796",
            ("squares",), _fisher,
        ),
        DonorScoreRow(
            "activation_shift", "how far the donor moves the layer's output on the target, over its length",
            "share", "ours",
            ("shift",), _of_read("shift"),
        ),
        DonorScoreRow(
            "lewis", "how much the donor changes the length of the layer's output on the target",
            "activation", "ours, after the idea of LEWIS, Chopra et al., arXiv 2503.03874, whose own formula "
            "sets the sparsity of task vectors and was not at hand",
            ("lengths",), _of_read("lengths"),
        ),
        DonorScoreRow(
            "sae_attribution", "share of what the layer alone does to the target, to first order at its "
            "output, that passes through SAE features which the controls do not use; below 0 where that is "
            "damage", "share", "ours",
            ("apart",), _apart,
            "features' preferences dealt out anew among features of like use on the target, which takes "
            "these to be exchangeable; one-sided",
            lambda target: _share_apart(target.dealt, target),
        ),
    )
}  # fmt: skip
"""All scores by name: a row here is all that a new one takes."""


def donor_scores(groups: Sequence[TextGroups], layer_of: Sequence[int | None]) -> tuple[DonorScore, ...]:
    """Every score whose sums were measured, in the table's order.

    Args:
        groups: The target's sums, then the controls'.
        layer_of: The layer of every tensor, None outside the layers.
    """
    numbers = np.array([-1 if layer is None else layer for layer in layer_of], dtype=np.int64)
    return tuple(
        _scored(row, groups, numbers)
        for row in DONOR_SCORES.values()
        if all(getattr(groups[0], field).size for field in row.needs)
    )


def _scored(row: DonorScoreRow, groups: Sequence[TextGroups], layer_of: npt.NDArray[np.int64]) -> DonorScore:
    def totals(kept: Sequence[Kept]) -> tuple[_Totals, list[_Totals]]:
        target, *controls = (_Totals(sums, layer_of, one) for sums, one in zip(groups, kept, strict=True))
        return target, controls

    sizes = [len(of_text.tokens) for of_text in groups]
    target, controls = totals([np.ones(size, dtype=np.bool_) for size in sizes])
    values = row.formula(target, controls)
    spread = jackknife(lambda kept: row.formula(*totals(kept)), sizes)
    means, tails = [None if spread is None else float(values.mean())] * len(values), _tails(values, spread)
    if row.draws is not None:
        draws = row.draws(target)
        means = draws.mean(0).tolist()
        tails = [upper_tail(float(value), drawn).p for value, drawn in zip(values, draws.T, strict=True)]
    q_values = adjusted(tails, benjamini_hochberg)
    at = groups[0].sae_layers.tolist() if len(groups[0].sae_layers) == len(values) else None
    layers = [
        LayerScore(
            layer=nth if at is None else at[nth],
            score=float(value),
            low=None if spread is None else float(value - spread.half_width[nth]),
            high=None if spread is None else float(value + spread.half_width[nth]),
            null=means[nth],
            p=tails[nth],
            q=q_values[nth],
        )
        for nth, value in enumerate(values)
    ]
    correlation = curve_correlation(values.tolist(), [one.layer for one in layers])
    depth = None
    if correlation is not None and correlation.rho is not None and correlation.p is not None:
        depth = DepthCorrelation(rho=correlation.rho, p=correlation.p)
    return DonorScore(name=row.name, unit=row.unit, null=row.null, layers=tuple(layers), depth=depth)


def _tails(values: Floats, spread: Spread | None) -> list[float | None]:
    """p of each layer by the jackknife; None where documents do not vary it."""
    if spread is None:
        return [None] * len(values)
    return [None if np.isnan(p) else float(p) for p in spread.p]


def describe(name: str) -> str:
    """What a score measures, in words; its name where the table has it no more."""
    row = DONOR_SCORES.get(name)
    return name if row is None else f"{name}: {row.description} ({row.unit}; {row.source})"
