"""Judges of claims that take many arms: the pick's rank among other layers, and the score itself."""

from collections.abc import Iterable, Mapping, Sequence
from math import factorial

from sae_merge_method.artifacts.arm import OTHER_LAYERS
from sae_merge_method.artifacts.experiment import Experiment, MeasuredArm, Rank, RankCorrelation
from sae_merge_method.experiment.report.contrasts import Judge, Judged
from sae_merge_method.experiment.report.measure import answer, gain, is_share
from sae_merge_method.reports.numbers import change, p_value, signed
from sae_merge_method.statistics.permutation import rank_correlation, upper_tail

_PER_NATS = 0.01
"""Damage that gains are set against, in nats a token."""


def other_layers(
    arms: Iterable[MeasuredArm], pick: MeasuredArm, *, at_random: bool = False
) -> list[MeasuredArm]:
    """Arms with as many layers as the pick, but others; of the same set only the first.

    Args:
        arms: All arms.
        pick: The pick.
        at_random: Whether only those count whose layers were drawn at random.
    """
    by_layers: dict[tuple[int, ...], MeasuredArm] = {}
    for arm in arms:
        fits = len(arm.layers) == len(pick.layers) and set(arm.layers) != set(pick.layers)
        if arm.role in OTHER_LAYERS and fits and not arm.mismatches:
            by_layers.setdefault(tuple(sorted(arm.layers)), arm)
    return [arm for arm in by_layers.values() if arm.role == "random" or not at_random]


def rank_among(value: float, others: Sequence[float]) -> Rank | None:
    """The rank of a value among others; None without others. Who is as good counts as better.

    ``p = (1 + better) / (1 + others)`` (Phipson & Smyth 2010): the value itself is one of the draws,
    so p is never 0, and it is exact where all sets of layers were equally likely to be the pick.
    """
    if not others:
        return None
    tail = upper_tail(value, others)
    return Rank(better=tail.at_least, others=tail.draws, p=tail.p)


def score_and_gain(
    arms: Iterable[MeasuredArm], scores: Mapping[int, float], higher_is_better: bool
) -> RankCorrelation | None:
    """Specificity against gain, over every layer that was injected alone and has both."""
    known = [
        (scores[arm.layers[0]], gain(arm, higher_is_better))
        for arm in arms
        if arm.role == "layer" and len(arm.layers) == 1 and arm.layers[0] in scores and not arm.mismatches
    ]
    correlation = rank_correlation([score for score, _ in known], [gained for _, gained in known])
    if correlation is None:
        return None
    return RankCorrelation(layers=correlation.n, rho=correlation.rho, p=correlation.p)


def beats_random_layers(experiment: Experiment) -> Judged:
    """Whether the pick gains more than layers drawn at random."""
    pick = _pick(experiment)
    if pick is None:
        return Judged("not tested", "the pick is not done")
    up = experiment.higher_is_better
    drawn = other_layers(experiment.arms, pick, at_random=True)
    return _stands_out(gain(pick, up), [gain(arm, up) for arm in drawn], experiment.alpha)


def gains_more_per_damage(beside: str) -> Judge:
    """Whether the pick buys more for the same damage than layers drawn at random.

    A set of layers without measurable damage has no such ratio: among the others it counts as
    better than any, as long as it gains; the pick is not put to the test.

    Args:
        beside: Name of an arm whose ratio is told beside the pick's.
    """

    def judge(experiment: Experiment) -> Judged:
        pick = _pick(experiment)
        if experiment.corpus is None or pick is None:
            reason = "the pick is not done" if experiment.corpus else "no general corpus was given"
            return Judged("not tested", reason)
        ratio = _per_damage(pick, experiment)
        if ratio is None:
            reason = "the pick does no measurable damage, so there is nothing to divide by"
            return Judged("not tested", reason)
        drawn = other_layers(experiment.arms, pick, at_random=True)
        ratios = [_or_limit(arm, experiment) for arm in drawn if arm.general is not None]
        judged = _stands_out(ratio, ratios, experiment.alpha)
        unit = "points" if is_share(experiment) else "of the score"
        bought = f"{_bought(ratio, experiment)} {unit} for {_PER_NATS:g} nats a token"
        other = experiment.arm(beside)
        its_ratio = _per_damage(other, experiment) if other is not None else None
        its = f", {beside} {_bought(its_ratio, experiment)}" if its_ratio is not None else ""
        return Judged(judged.answer, f"{judged.evidence}; {bought}{its}")

    return judge


def score_predicts(experiment: Experiment) -> Judged:
    """Whether the score tells which layers gain, each injected alone."""
    correlation = experiment.single_layers
    if correlation is None:
        return Judged("not tested", "it takes arms for at least three single layers (--single-layers)")
    if correlation.rho is None or correlation.p is None:
        return Judged("not tested", f"over {correlation.layers} layers, score or gain does not vary")
    evidence = (
        f"Spearman's rho {signed(correlation.rho)}, p {p_value(correlation.p)} by permutation, "
        f"{correlation.layers} layers"
    )
    smallest = 2 / factorial(correlation.layers)
    if smallest >= experiment.alpha:
        return Judged("not tested", f"{evidence}; with so few p cannot fall below {p_value(smallest)}")
    return Judged(answer(correlation.rho, correlation.p, experiment.alpha), evidence)


def _pick(experiment: Experiment) -> MeasuredArm | None:
    pick = experiment.pick
    return None if pick is None or pick.mismatches else pick


def _per_damage(arm: MeasuredArm, experiment: Experiment) -> float | None:
    """Gain over damage, where the damage is significant."""
    general = arm.general
    if general is None or general.delta is None or general.p is None:
        return None
    if general.p >= experiment.alpha or general.delta <= 0:
        return None
    return gain(arm, experiment.higher_is_better) / general.delta


def _or_limit(arm: MeasuredArm, experiment: Experiment) -> float:
    """Gain over damage; without measurable damage infinite for a gain, else 0."""
    ratio = _per_damage(arm, experiment)
    if ratio is not None:
        return ratio
    return float("inf") if gain(arm, experiment.higher_is_better) > 0 else 0.0


def _bought(ratio: float, experiment: Experiment) -> str:
    return change(_PER_NATS * ratio, is_share(experiment))


def _stands_out(value: float, others: Sequence[float], alpha: float) -> Judged:
    """A claim to be better than layers drawn at random, one-sided either way."""
    rank = rank_among(value, others)
    turned = rank_among(-value, [-other for other in others])
    if rank is None or turned is None:
        return Judged("not tested", "there are no arms with random layers")
    evidence = (
        f"rank {rank.rank} of {1 + rank.others}, one-sided p {p_value(rank.p)}: {rank.better} of "
        f"{rank.others} random sets did at least as well"
    )
    smallest = 1 / (1 + rank.others)
    if smallest >= alpha:
        few = f"with so few random sets p cannot fall below {p_value(smallest)}"
        return Judged("not tested", f"{evidence}; {few}")
    if rank.p < alpha:
        return Judged("yes", evidence)
    if turned.p < alpha:
        return Judged("no", f"{evidence}; that it is worse: p {p_value(turned.p)}")
    return Judged("not shown", evidence)
