"""Judges of claims about the score itself: what every layer gains alone, beside its score."""

from collections.abc import Iterable, Mapping

from sae_merge_method.artifacts.conclusions import LayerCurve
from sae_merge_method.artifacts.experiment import Experiment, MeasuredArm
from sae_merge_method.experiment.report.judged import Judge, Judged, untested
from sae_merge_method.experiment.report.measure import gain
from sae_merge_method.layers import Unit, by_depth, layer_of, part_of_layer
from sae_merge_method.reports.numbers import p_value, signed
from sae_merge_method.statistics.curves import curve_correlation, depth_terms, least_curve_p


def score_and_gain(
    arms: Iterable[MeasuredArm], scores: Mapping[Unit, float], higher_is_better: bool
) -> LayerCurve | None:
    """Score against gain, over every layer that was injected alone and has both; None below three.

    Or over the attention of every layer, or over its MLP: a profile in depth is of units of one kind.
    """
    alone = {
        arm.layers[0]: arm
        for arm in arms
        if arm.role == "layer" and len(arm.layers) == 1 and arm.layers[0] in scores and not arm.mismatches
    }
    units = sorted(alone, key=by_depth)
    if len(set(map(part_of_layer, units))) > 1:
        return None
    profile = [scores[unit] for unit in units]
    gains = [gain(alone[unit], higher_is_better) for unit in units]
    whole = curve_correlation(profile, gains)
    if whole is None:
        return None
    beside = [*depth_terms(list(map(layer_of, units))), [alone[unit].energy for unit in units]]
    partial = curve_correlation(profile, gains, beside)
    return LayerCurve(
        layers=whole.n,
        rho=whole.rho,
        p=whole.p,
        partial_rho=partial.rho if partial else None,
        partial_p=partial.p if partial else None,
        least_p=least_curve_p(whole.n),
    )


def score_predicts(*, beyond_depth: bool) -> Judge:
    """Whether the score tells which layers gain, each injected alone.

    Args:
        beyond_depth: Whether depth, its square and the injected energy are held fixed.
    """

    def judge(experiment: Experiment) -> Judged:
        curve = experiment.single_layers
        if curve is None:
            return untested("it takes arms for at least three single layers (--single-layers)")
        rho, p = (curve.partial_rho, curve.partial_p) if beyond_depth else (curve.rho, curve.p)
        if rho is None or p is None:
            given = ", given depth and energy," if beyond_depth else ""
            return untested(f"over {curve.layers} layers{given} score or gain does not vary")
        evidence = (
            f"{'partial rank correlation' if beyond_depth else 'Spearman rho'} {signed(rho)}, p "
            f"{p_value(p)} by circular shifts and mirror images of the profile, {curve.layers} layers"
        )
        return Judged(rho, p, evidence, least_p=curve.least_p)

    return judge
