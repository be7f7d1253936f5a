"""Conclusions on the choice of layers that take more than two arms: ranks, and the score itself."""

from math import factorial
from typing import NamedTuple

from sae_merge_method.artifacts.experiment import Answer, Arm, Conclusion, Experiment, Rank
from sae_merge_method.experiment.report import names
from sae_merge_method.experiment.report.measure import answer, gain, is_share
from sae_merge_method.experiment.report.ranks import random_sets, rank_among
from sae_merge_method.reports.numbers import change, p_value

_PER_NATS = 0.01
"""Damage that gains are set against, in nats a token."""


class _Standing(NamedTuple):
    answer: Answer
    words: str


def random_layers(experiment: Experiment) -> Conclusion:
    """Whether the pick gains more than layers drawn at random."""
    claim = "the selected layers beat random layers"
    pick = _pick(experiment)
    if pick is None:
        return Conclusion(claim=claim, answer="not tested", words="the pick is not done")
    up = experiment.higher_is_better
    others = [gain(arm, up) for arm in random_sets(experiment.arms, pick)]
    found = _standing(gain(pick, up), others, experiment.alpha)
    return Conclusion(claim=claim, answer=found.answer, words=found.words)


def per_damage(experiment: Experiment) -> Conclusion:
    """Whether the pick buys more for the same damage than layers drawn at random.

    A set of layers without measurable damage has no such ratio: among the others it counts as
    better than any, as long as it gains; the pick is not put to the test.
    """
    claim = "the selected layers gain more per damage to general text than random layers"
    pick = _pick(experiment)
    if experiment.corpus is None or pick is None:
        reason = "the pick is not done" if experiment.corpus else "no general corpus was given"
        return Conclusion(claim=claim, answer="not tested", words=reason)
    mine = _ratio(pick, experiment)
    if mine is None:
        words = "the pick does no measurable damage, so there is nothing to divide by"
        return Conclusion(claim=claim, answer="not tested", words=words)
    sets = [arm for arm in random_sets(experiment.arms, pick) if arm.general is not None]
    ratios = [_ratio(arm, experiment) for arm in sets]
    standing = _standing(
        mine,
        [
            ratio
            if ratio is not None
            else float("inf")
            if gain(arm, experiment.higher_is_better) > 0
            else 0.0
            for arm, ratio in zip(sets, ratios, strict=True)
        ],
        experiment.alpha,
    )
    unit = "points" if is_share(experiment) else "of the score"
    bought = f"{change(_PER_NATS * mine, is_share(experiment))} {unit} for {_PER_NATS:g} nats a token"
    everywhere = next((arm for arm in experiment.arms if arm.name == names.ALL_LAYERS), None)
    theirs = _ratio(everywhere, experiment) if everywhere is not None else None
    beside = (
        f", {names.ALL_LAYERS} {change(_PER_NATS * theirs, is_share(experiment))}"
        if theirs is not None
        else ""
    )
    return Conclusion(claim=claim, answer=standing.answer, words=f"{standing.words}; {bought}{beside}")


def predicts(experiment: Experiment) -> Conclusion:
    """Whether the score tells which layers gain, each injected alone."""
    claim = "the score predicts what a layer gains alone"
    found = experiment.single_layers
    if found is None:
        words = "it takes arms for at least three single layers (--single-layers)"
        return Conclusion(claim=claim, answer="not tested", words=words)
    if found.rho is None or found.p is None:
        words = f"over {found.layers} layers, score or gain does not vary"
        return Conclusion(claim=claim, answer="not tested", words=words)
    words = f"Spearman's rho {found.rho:+.2f}, p {p_value(found.p)} by permutation, {found.layers} layers"
    smallest = 2 / factorial(found.layers)
    if smallest >= experiment.alpha:
        words += f"; with so few p cannot fall below {p_value(smallest)}"
        return Conclusion(claim=claim, answer="not tested", words=words)
    return Conclusion(claim=claim, answer=answer(found.rho, found.p, experiment.alpha), words=words)


def _pick(experiment: Experiment) -> Arm | None:
    return next((arm for arm in experiment.arms if arm.role == "pick" and not arm.mismatches), None)


def _ratio(arm: Arm, experiment: Experiment) -> float | None:
    """Gain over damage, where the damage is significant."""
    general = arm.general
    if general is None or general.delta is None or general.p is None:
        return None
    if general.p >= experiment.alpha or general.delta <= 0:
        return None
    return gain(arm, experiment.higher_is_better) / general.delta


def _standing(value: float, others: list[float], alpha: float) -> _Standing:
    """A claim to be better than layers drawn at random, one-sided either way."""
    rank = rank_among(value, others)
    turned = rank_among(-value, [-other for other in others])
    if rank is None or turned is None:
        return _Standing("not tested", "there are no arms with random layers")
    words = _rank_words(rank)
    if 1 / (1 + rank.others) >= alpha:
        few = f"with so few random sets p cannot fall below {p_value(1 / (1 + rank.others))}"
        return _Standing("not tested", f"{words}; {few}")
    if rank.p < alpha:
        return _Standing("yes", words)
    if turned.p < alpha:
        return _Standing("no", f"{words}; that it is worse: p {p_value(turned.p)}")
    return _Standing("not shown", words)


def _rank_words(rank: Rank) -> str:
    return (
        f"rank {rank.rank} of {1 + rank.others}, one-sided p {p_value(rank.p)}: {rank.better} of "
        f"{rank.others} random sets did at least as well"
    )
