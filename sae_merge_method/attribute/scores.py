"""Scores of layers that know the donor, by name: pure functions of sums over texts, with intervals.

Their rivals, which know the donor but no slope, or slopes but no donor, stand in the same table: whatever is
claimed for a score has to be more than they give. None has a null: a layer's gain is what it is, not one of
many that shuffled labels would give; what is uncertain about it is its documents, and that is the interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.attribution import DepthCorrelation, DonorScore, LayerScore, TextGroups
from sae_merge_method.statistics.curves import curve_correlation

Floats = npt.NDArray[np.float64]

LEVEL = 0.95


class _Totals:
    """A text's sums over groups, by layer: the fields of :class:`TextGroups`, (L,) each, and ``tokens``."""

    def __init__(
        self, sums: TextGroups, layer_of: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]
    ) -> None:
        self._sums, self._layer_of, self._kept = sums, layer_of, kept
        self.tokens = int(sums.tokens[kept].sum())

    def gain(self, field: str) -> Floats:
        """(L,) of what is summed by tensor or by layer, a predicted token."""
        return self.total(field) / self.tokens

    def total(self, field: str) -> Floats:
        """(L,) of what is summed by tensor or by layer."""
        total = getattr(self._sums, field)[self._kept].sum(0)
        if len(total) != len(self._layer_of):
            return np.asarray(total)
        inside = self._layer_of >= 0
        by_layer: Floats = np.zeros(int(self._layer_of.max()) + 1)
        np.add.at(by_layer, self._layer_of[inside], total[inside])
        return by_layer


Formula = Callable[[_Totals, Sequence[_Totals]], Floats]
"""From the target's sums and the controls' to (L,) scores; higher for layers to edit."""


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
            "activation", "after Chopra et al., arXiv 2503.03874, as we read it",
            ("lengths",), _of_read("lengths"),
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
    whole = [np.ones(len(of_text.tokens), dtype=np.bool_) for of_text in groups]

    def score(kept: Sequence[npt.NDArray[np.bool_]]) -> Floats:
        target, *controls = (_Totals(sums, layer_of, one) for sums, one in zip(groups, kept, strict=True))
        return row.formula(target, controls)

    values = score(whole)
    half = _half_width(score, whole)
    layers = [
        LayerScore(layer=nth, score=float(value))
        if half is None
        else LayerScore(
            layer=nth, score=float(value), low=float(value - half[nth]), high=float(value + half[nth])
        )
        for nth, value in enumerate(values)
    ]
    found = curve_correlation(values.tolist(), list(range(len(values))))
    depth = None
    if found is not None and found.rho is not None and found.p is not None:
        depth = DepthCorrelation(rho=found.rho, p=found.p)
    return DonorScore(name=row.name, unit=row.unit, layers=tuple(layers), depth=depth)


def _half_width(
    score: Callable[[Sequence[npt.NDArray[np.bool_]]], Floats], whole: Sequence[npt.NDArray[np.bool_]]
) -> Floats | None:
    """Half of the interval, by the jackknife over groups (Efron & Stein 1981); None for one group.

    ``variance = (n - 1) / n sum (score without group i - their mean)^2``, summed over the texts.
    """
    from scipy.special import stdtrit

    variance, least = 0.0, min(map(len, whole))
    if least < 2:
        return None
    for nth, of_text in enumerate(whole):
        without = []
        for group in range(len(of_text)):
            kept = list(whole)
            kept[nth] = np.arange(len(of_text)) != group
            without.append(score(kept))
        n = len(of_text)
        variance = variance + (n - 1) / n * ((np.array(without) - np.mean(without, axis=0)) ** 2).sum(0)
    half: Floats = float(stdtrit(least - 1, 0.5 + LEVEL / 2)) * np.sqrt(np.asarray(variance))
    return half


def describe(name: str) -> str:
    """What a score measures, in words; its name where the table has it no more."""
    row = DONOR_SCORES.get(name)
    return name if row is None else f"{name}: {row.description} ({row.unit}; {row.source})"
