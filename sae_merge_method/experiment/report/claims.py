"""What an experiment's numbers support and what they do not, in plain words, whoever they please.

Every claim is put to one test at the plan's level. "yes" and "no" each take significance, one in the
claim's direction, the other against it; "not shown" is not "no"; and what no arm tests is "not tested".
"""

from collections.abc import Mapping

from sae_merge_method.artifacts.experiment import Arm, Conclusion, Experiment
from sae_merge_method.experiment.report import names
from sae_merge_method.experiment.report.layer_claims import per_damage, predicts, random_layers
from sae_merge_method.experiment.report.measure import answer, contrast, is_share
from sae_merge_method.reports.numbers import amount, interval, nats, score, test_words
from sae_merge_method.statistics.intervals import normal_interval

_BEATEN_ALIKE = "the selected layers beat "


def conclusions(experiment: Experiment) -> tuple[Conclusion, ...]:
    """All claims, in the order of a reader's questions."""
    pick = next((arm.name for arm in experiment.arms if arm.role == "pick"), names.STETHOSCOPE)
    return (
        _improves(experiment, pick),
        _beats(experiment, "the raw task vector beats its projection", pick, names.SCALPEL),
        _keeps(experiment),
        _beats(
            experiment,
            "the features' span beats a random subspace of its rank",
            names.SCALPEL,
            names.SCALPEL_RANDOM,
        ),
        _beats(
            experiment,
            "at the projection's energy, the raw direction still beats it",
            names.ENERGY_MATCHED,
            names.SCALPEL,
            {
                "yes": "more than its small size holds the projection back",
                "not shown": "its small size alone may be why the projection does so little",
            },
        ),
        random_layers(experiment),
        _beats(experiment, f"{_BEATEN_ALIKE}others at the same depth", pick, names.DEPTH_MATCHED),
        _beats(experiment, f"{_BEATEN_ALIKE}those that moved most", pick, names.LARGEST),
        _beats(experiment, f"{_BEATEN_ALIKE}the least specific ones", pick, names.LOWEST),
        _beats(experiment, f"{_BEATEN_ALIKE}the same energy spread over all layers", pick, names.DAMPED),
        _beats(experiment, f"{_BEATEN_ALIKE}all layers at the same weight", pick, names.ALL_LAYERS),
        predicts(experiment),
        _unharmed(experiment, pick),
        per_damage(experiment),
        Conclusion(
            claim="this holds for other models, donors, tasks and seeds",
            answer="not tested",
            words="one base, one donor, one diagnosis, one run of each arm",
        ),
    )


def conclusion_lines(experiment: Experiment) -> list[str]:
    """Each conclusion as a line of text."""
    return [f"{one.claim}: {one.answer}, {one.words}" for one in experiment.conclusions]


def how_to_read(experiment: Experiment) -> str:
    """What "yes" and its like mean, in a paragraph."""
    against = "lower" if experiment.higher_is_better else "higher"
    return (
        f"Each claim is one test at the {experiment.alpha:.0%} level, not corrected for their number. "
        "yes: significant; no: significant the other way; not shown: neither, which is no proof of the "
        "opposite; not tested: these arms cannot tell. A z holds two scores against each other with "
        "lm-eval's standard errors, unpooled, as the paper does; subjects are corrected by Holm. "
        f"{experiment.metric}: {against} is worse."
    )


def _improves(experiment: Experiment, pick: str) -> Conclusion:
    found = _beats(experiment, "the edit improves what is evaluated", pick, experiment.arms[0].name)
    arm = next((arm for arm in experiment.arms if arm.name == pick), None)
    if arm is None or len(arm.subjects) < 2 or found.answer == "not tested":
        return found
    holding = [
        one for one in arm.subjects if one.p_adjusted is not None and one.p_adjusted < experiment.alpha
    ]
    better, worse = (sum(one.verdict == word for one in holding) for word in ("improved", "degraded"))
    subjects = f"of {len(arm.subjects)} subjects {better} better and {worse} worse after Holm"
    return found.model_copy(update={"words": f"{found.words}; {subjects}"})


def _beats(
    experiment: Experiment, claim: str, one: str, other: str, meaning: Mapping[str, str] | None = None
) -> Conclusion:
    """One arm against another.

    Args:
        experiment: With both arms, or without.
        claim: That ``one`` is better.
        one: Name of an arm.
        other: Name of the arm it is to beat.
        meaning: What an answer means, where that is not in the claim.
    """
    arms = {arm.name: arm for arm in experiment.arms}
    if reason := _untestable(experiment, arms, one, other):
        return Conclusion(claim=claim, answer="not tested", words=reason)
    share = is_share(experiment)
    found = contrast(arms[one], arms[other], experiment.alpha, higher_is_better=experiment.higher_is_better)
    said = f"{one} {score(arms[one].overall.score, share)}, {other} {score(arms[other].overall.score, share)}"
    if found.z is None or found.p is None or found.low is None or found.high is None:
        return Conclusion(claim=claim, answer="not tested", words=f"no standard error to test with: {said}")
    said += f", {amount(found.delta, share)} ({interval(found.low, found.high, share)})"
    says = answer(found.delta, found.p, experiment.alpha)
    means = f"; {meaning[says]}" if meaning and says in meaning else ""
    return Conclusion(claim=claim, answer=says, words=f"{test_words(found.z, found.p)}: {said}{means}")


def _untestable(experiment: Experiment, arms: Mapping[str, Arm], one: str, other: str) -> str | None:
    for name in (one, other):
        if name in experiment.missing:
            return f"the arm {name} is not done"
        if name not in arms:
            return f"there is no arm {name}"
        if arms[name].mismatches:
            return f"{name} was not evaluated as the base was"
    first, second = arms[one], arms[other]
    if first.role in ("pick", "layers") and second.role == "layers" and first.layers == second.layers:
        return f"{other} has the same layers"
    return None


def _keeps(experiment: Experiment) -> Conclusion:
    claim = "the features' span keeps more of the task vector than chance"
    found = experiment.projection
    if found is None or found.kept is None or found.random is None or found.chance is None:
        return Conclusion(claim=claim, answer="not tested", words="no projection was measured")
    drawn = found.random
    words = (
        f"it keeps {found.kept:.2%} of the energy and loses the rest; chance (r/d) is {found.chance:.2%}, a "
        f"random subspace of that rank keeps {drawn.low:.2%} to {drawn.high:.2%} ({drawn.level:.0%} of them)"
    )
    if found.kept > drawn.high:
        return Conclusion(claim=claim, answer="yes", words=words)
    if found.kept < drawn.low:
        return Conclusion(claim=claim, answer="no", words=f"{words}: any subspace so small loses nearly all")
    alike = "a loss that any subspace so small has says nothing about the features"
    return Conclusion(claim=claim, answer="not shown", words=f"{words}: {alike}")


def _unharmed(experiment: Experiment, pick: str) -> Conclusion:
    claim = "general text is unharmed"
    if experiment.corpus is None:
        return Conclusion(claim=claim, answer="not tested", words="no general corpus was given")
    found = next((arm.general for arm in experiment.arms if arm.name == pick), None)
    if found is None or found.delta is None or found.stderr is None or found.z is None or found.p is None:
        return Conclusion(claim=claim, answer="not tested", words=f"no loss with an error for the arm {pick}")
    low, high = map(nats, normal_interval(found.delta, found.stderr, 1 - experiment.alpha))
    words = (
        f"{test_words(found.z, found.p)}: loss {nats(found.delta)} nats a token ({low} to {high}) over "
        f"{experiment.corpus.documents} documents"
    )
    says = answer(-found.delta, found.p, experiment.alpha)
    if says == "not shown":
        words += "; any change within that interval may be there"
    return Conclusion(claim=claim, answer=says, words=words)
