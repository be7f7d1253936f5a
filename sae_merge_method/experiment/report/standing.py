"""Judges of claims that hold the pick against random layers: its gain, and its gain per damage.

A fair rival of the pick has as many layers in as many unbroken runs at about the same depth: only random arms
of that kind count (:func:`sae_merge_method.controls.unit_sets.is_matched`). Where they are drawn from some
layers alone, runs are counted among these.
"""

from collections.abc import Collection, Iterable, Sequence

from sae_merge_method.artifacts.arm import OTHER_LAYERS
from sae_merge_method.artifacts.conclusions import MatchedSets, Rank
from sae_merge_method.artifacts.experiment import Experiment, MeasuredArm
from sae_merge_method.controls.unit_sets import Units, is_matched, mean_depth, opens_parts
from sae_merge_method.experiment.report.judged import Judge, Judged, untested
from sae_merge_method.experiment.report.measure import gain, is_share
from sae_merge_method.layers import sorted_units
from sae_merge_method.reports.numbers import amount, interval, p_value, signed
from sae_merge_method.statistics.curves import FEWEST_SETS, excess
from sae_merge_method.statistics.permutation import upper_tail


def other_layers(arms: Iterable[MeasuredArm], pick: MeasuredArm) -> list[MeasuredArm]:
    """Arms with as many layers as the pick, but others; of the same set only the first."""
    by_layers: dict[Units, MeasuredArm] = {}
    for arm in arms:
        fits = len(arm.layers) == len(pick.layers) and set(arm.layers) != set(pick.layers)
        if arm.role in OTHER_LAYERS and fits and not arm.mismatches:
            by_layers.setdefault(sorted_units(arm.layers), arm)
    return list(by_layers.values())


def matched_layers(experiment: Experiment, pick: MeasuredArm) -> list[MeasuredArm]:
    """Of these, the ones drawn at random that are matched with the pick."""
    return [
        arm
        for arm in other_layers(experiment.arms, pick)
        if arm.role == "random" and is_matched(experiment.n_layers, pick.layers, arm.layers, experiment.among)
    ]


def counted_among(selected: Units, among: Collection[int] | None) -> str:
    """Words for the layers that runs are counted among; empty where these are all layers."""
    if among is None:
        return ""
    return f" among the layers {'with such parts ' * opens_parts(selected)}that the donor changes"


def rank_among(value: float, others: Sequence[float]) -> Rank | None:
    """The rank of a value among others; None without others. Who is as good counts as better."""
    return Rank(better=upper_tail(value, others).at_least, others=len(others)) if others else None


def beside_matched(experiment: Experiment, pick: MeasuredArm) -> MatchedSets | None:
    """The pick's gain beside its matched sets'; None without any."""
    matched, up = matched_layers(experiment, pick), experiment.higher_is_better
    gains = [gain(arm, up) for arm in matched]
    return _beside(gain(pick, up), gains, matched, pick, experiment.alpha)


def _beside(
    value: float, others: Sequence[float], matched: Sequence[MeasuredArm], pick: MeasuredArm, alpha: float
) -> MatchedSets | None:
    if not others:
        return None
    measured = excess(value, others, 1 - alpha)
    depth = mean_depth(pick.layers)
    return MatchedSets(
        better=measured.at_least,
        others=measured.others,
        rank_p=measured.rank_p,
        mean=measured.mean,
        excess=measured.difference,
        low=measured.low,
        high=measured.high,
        t=measured.t,
        p=measured.p,
        farthest=max(abs(mean_depth(arm.layers) - depth) for arm in matched),
    )


def beats_random_layers(experiment: Experiment) -> Judged:
    """Whether the pick gains more than random layers matched with it."""
    if _pick(experiment) is None:
        return untested("the pick is not done")
    if experiment.matched_sets is None:
        return untested(_no_sets(experiment))
    return _stands_out(experiment.matched_sets, experiment)


def gains_more_per_damage(beside: str) -> Judge:
    """Whether the pick gains more for its damage than random layers matched with it.

    Damage counts for no less than the margin, the pick's as any set's: nobody gains by dividing by next to
    nothing. Where nobody's damage is above the margin, there is no question.

    Args:
        beside: Name of an arm whose ratio is told beside the pick's.
    """

    def judge(experiment: Experiment) -> Judged:
        pick, margin = _pick(experiment), experiment.harm_margin
        if experiment.corpus is None or pick is None:
            return untested("the pick is not done" if experiment.corpus else "no general corpus was given")
        matched = matched_layers(experiment, pick)
        ratios = [_per_margin(arm, experiment) for arm in (pick, *matched)]
        measured = [ratio for ratio in ratios if ratio is not None]
        if len(measured) < len(ratios):
            return untested("the loss on general text of the pick or of a matched set is not known")
        if all(arm.damage <= margin for arm in (pick, *matched)):
            return untested(
                f"neither the pick nor any matched set does more damage than {margin:g} nats a token, the "
                "least that counts"
            )
        drawn = _beside(measured[0], measured[1:], matched, pick, experiment.alpha)
        if drawn is None:
            return untested(_no_sets(experiment))
        share = is_share(experiment)
        judged = _stands_out(drawn, experiment)
        other = experiment.arm(beside)
        its_ratio = _per_margin(other, experiment) if other is not None else None
        its = "" if its_ratio is None else f", {beside} {amount(its_ratio, share)}"
        bought = f"for {margin:g} nats a token of damage the pick gains {amount(measured[0], share)}{its}"
        return judged._replace(evidence=f"{judged.evidence}; {bought}")

    return judge


def _no_sets(experiment: Experiment) -> str:
    among = counted_among(experiment.layers, experiment.among)
    return f"there are no arms with random layers in as many runs{among} at about the same depth"


def _pick(experiment: Experiment) -> MeasuredArm | None:
    pick = experiment.pick
    return None if pick is None or pick.mismatches else pick


def _per_margin(arm: MeasuredArm, experiment: Experiment) -> float | None:
    """Gain for each margin of damage, which counts for one margin at least; None where it is not known."""
    if arm.general is None or arm.general.delta is None:
        return None
    margin = experiment.harm_margin
    return gain(arm, experiment.higher_is_better) * margin / max(arm.damage, margin)


def _stands_out(drawn: MatchedSets, experiment: Experiment) -> Judged:
    """By Student's test of one more draw; where the sets all gained alike, by the rank alone."""
    share = is_share(experiment)
    among = counted_among(experiment.layers, experiment.among) or " of layers"
    sets = (
        f"{drawn.others} random sets of as many runs{among}, their mean depth at most "
        f"{drawn.farthest:.1f} layers away"
    )
    rank = f"rank {drawn.rank} of {1 + drawn.others}, its p alone {p_value(drawn.rank_p)}"
    if drawn.others < FEWEST_SETS:
        return untested(f"{sets}: nothing is tested with fewer than {FEWEST_SETS}; {rank}")
    over = f"{amount(drawn.excess, share)} over the mean of {sets}"
    if drawn.t is None or drawn.p is None or drawn.low is None or drawn.high is None:
        if not drawn.excess:
            return untested(f"the pick and {sets} all gained alike")
        least = 1 / (1 + drawn.others)
        p = drawn.rank_p if drawn.excess > 0 else least
        words = f"p {p_value(p)} by rank, the sets all gained alike: {over}"
        return Judged(drawn.excess, p, words, least_p=least)
    reach = interval(drawn.low, drawn.high, share)
    return Judged(
        drawn.excess, drawn.p, f"t {signed(drawn.t)}, p {p_value(drawn.p)}: {over} ({reach}); {rank}"
    )
