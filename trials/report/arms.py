"""Every arm beside the damping curve: exact answers, answer loss, and the loss on two kinds of text.

Where an arm lies beside the curve in exact answers is the experiment's own judgement. The same is told here
in answer loss, with the same formulas: a gain in loss is sharper, and flatters.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sae_merge_method.artifacts.conclusions import CurveStanding
from sae_merge_method.artifacts.experiment import MeasuredArm
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.experiment.report.damping import curve_weight
from sae_merge_method.statistics.beside_curve import GainAndCost, Weighted, place_beside, stands
from sae_merge_method.statistics.interpolation import AboveLine
from sae_merge_method.statistics.intervals import Interval, count_right, wilson_interval
from sae_merge_method.statistics.losses import RatioChange
from trials.experiments import ANSWERS, NEAR
from trials.report.read import LEVEL, PROSE, DonorRun, Nats


class ArmFigures(NamedTuple):
    """One arm of one donor, with everything that a table shows."""

    arm: MeasuredArm
    right: Interval | None
    """Wilson's interval of exact answers; None where they are not right or wrong."""
    gain: float
    """Exact answers above the base's, as a share."""
    nats_gained: RatioChange | None
    """Change of the answers' loss: below 0 is gain."""
    damage: RatioChange | None
    """Change of the loss on prose."""
    near: RatioChange | None
    """Change of the loss on the text near the ability."""
    standing: CurveStanding | None
    """Beside the damping curve in exact answers; None for the curve's own arms."""
    in_loss: AboveLine | None
    """The same in answer loss, above 0 for better; None where it cannot be told."""

    @property
    def name(self) -> str:
        """Of the arm."""
        return self.arm.name


def figures(run: DonorRun) -> list[ArmFigures]:
    """All arms of a donor, in the experiment's order; empty without an experiment."""
    experiment = run.experiment
    if experiment is None:
        return []
    base = run.nats["base"]
    start = experiment.arms[0].overall.score
    curve = experiment.damping_curve if harms(run) else None
    standings = {one.arm: one for one in curve.standings} if curve else {}
    arms = []
    for arm in experiment.arms:
        nats = run.nats[arm.name]
        arms.append(
            ArmFigures(
                arm=arm,
                right=exact_interval(arm),
                gain=arm.overall.score - start,
                nats_gained=_change(nats, base, ANSWERS),
                damage=_change(nats, base, PROSE),
                near=_change(nats, base, NEAR),
                standing=standings.get(arm.name),
                in_loss=_in_loss(run, standings.get(arm.name)),
            )
        )
    return arms


def harms(run: DonorRun) -> bool:
    """Whether all layers at weight 1 are shown to harm prose.

    Where they are not, a smaller weight buys nothing: at equal damage the curve says nothing.
    """
    base, everything = run.nats.get("base", {}), run.nats.get("all-layers", {})
    change = _change(everything, base, PROSE)
    ends = change.interval(LEVEL) if change is not None else None
    return ends is not None and ends.low > 0


def exact_interval(arm: MeasuredArm) -> Interval | None:
    """Wilson's interval of an arm's exact answers."""
    score = arm.overall
    right = count_right(score.score, score.stderr, score.n)
    return None if right is None or not score.n else wilson_interval(right, score.n, LEVEL)


def _change(nats: Mapping[str, Nats], base: Mapping[str, Nats], what: str) -> RatioChange | None:
    return nats[what].less(base[what]) if what in nats and what in base else None


def _in_loss(run: DonorRun, standing: CurveStanding | None) -> AboveLine | None:
    """An arm's gain in answer loss less the curve's at its damage to prose, or less that of all of it."""
    experiment = run.experiment
    curve = experiment.damping_curve if experiment else None
    if experiment is None or standing is None or curve is None:
        return None
    if not all(ANSWERS in run.nats[name] and PROSE in run.nats[name] for name in (standing.arm, *curve.arms)):
        return None

    def outcome(name: str) -> GainAndCost:
        answers = run.nats[name][ANSWERS]
        gains = [-nats * len(answers.tokens) / sum(answers.tokens) for nats in answers.nats]
        return GainAndCost(gains, run.nats[name][PROSE].nats)

    points = [
        Weighted(arm.name, curve_weight(arm), outcome(arm.name))
        for arm in experiment.arms
        if arm.name in curve.arms
    ]
    excess = place_beside(outcome(standing.arm), points).excess
    return None if excess.delta is None else excess


def kind_of(arm: MeasuredArm) -> str:
    """The table's name of an arm, without its number; an own arm's own name."""
    if arm.role == "own":
        return arm.name
    row = next((row for row in ARMS.values() if row.owns(arm.name)), None)
    if row is None:
        return arm.name
    return arm.name if row.name in ("window", "damped", "all-but-the-last") else row.name


class KindFigures(NamedTuple):
    """One kind of arm over all donors; of a donor's several arms of the kind the means."""

    kind: str
    donors: int
    layers: float
    """Mean number of layers."""
    gain: float
    damage: float | None
    near: float | None
    nats_gained: float | None
    by_donor: Mapping[str, tuple[float, float | None]]
    """A donor each: exact answers gained, as a share, and answer loss gained, in nats a token."""
    excess: tuple[float, ...]
    """A donor each: exact answers above the curve at its damage, as a share."""
    stands: Mapping[str, int]
    """How many arms lie above, on, below the curve, or are not shown or tested to."""
    excess_nats: tuple[float, ...]
    """A donor each: answer loss below the curve's at its damage, in nats a token."""
    stands_in_loss: Mapping[str, int]
    """How many arms are shown to lie above or below it, uncorrected."""


def by_kind(runs: Sequence[DonorRun]) -> list[KindFigures]:
    """All kinds of arms, in the order in which experiments have them."""
    grouped: dict[str, dict[str, list[ArmFigures]]] = {}
    for run in runs:
        for one in figures(run):
            if one.arm.role != "base":
                grouped.setdefault(kind_of(one.arm), {}).setdefault(str(run.donor), []).append(one)
    return [_over(kind, by_donor) for kind, by_donor in grouped.items()]


def _over(kind: str, by_donor: Mapping[str, list[ArmFigures]]) -> KindFigures:
    everyone = [one for arms in by_donor.values() for one in arms]

    def means(value: Callable[[ArmFigures], float | None]) -> list[float]:
        of_donors = []
        for arms in by_donor.values():
            known = [number for one in arms if (number := value(one)) is not None]
            if known:
                of_donors.append(sum(known) / len(known))
        return of_donors

    def overall(value: Callable[[ArmFigures], float | None]) -> float | None:
        known = means(value)
        return sum(known) / len(known) if known else None

    exact: Counter[str] = Counter(one.standing.stands for one in everyone if one.standing is not None)
    in_loss: Counter[str] = Counter(
        stands(one.in_loss, one.in_loss.p, 1 - LEVEL)
        for one in everyone
        if one.in_loss is not None and one.in_loss.p is not None
    )
    return KindFigures(
        kind=kind,
        donors=len(by_donor),
        layers=sum(len(one.arm.layers) for one in everyone) / len(everyone),
        gain=overall(lambda one: one.gain) or 0.0,
        damage=overall(lambda one: one.damage.delta if one.damage else None),
        near=overall(lambda one: one.near.delta if one.near else None),
        nats_gained=overall(lambda one: -one.nats_gained.delta if one.nats_gained else None),
        by_donor={
            donor: (_mean([one.gain for one in arms]), _mean_gained(arms)) for donor, arms in by_donor.items()
        },
        excess=tuple(means(lambda one: one.standing.delta if one.standing else None)),
        stands=exact,
        excess_nats=tuple(means(lambda one: one.in_loss.delta if one.in_loss else None)),
        stands_in_loss=in_loss,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean_gained(arms: Sequence[ArmFigures]) -> float | None:
    gained = [-one.nats_gained.delta for one in arms if one.nats_gained]
    return _mean(gained) if gained else None


class Pair(NamedTuple):
    """Two kinds of arms over the donors that have both."""

    donors: int
    gains: tuple[float, float]
    """Exact answers gained, as shares."""
    nats: tuple[float, float]
    """Answer loss gained, in nats a token."""


def beside(one: KindFigures | None, other: KindFigures | None) -> Pair | None:
    """The means of both kinds over the same donors; None where no donor has both."""
    if one is None or other is None:
        return None
    both = [(one.by_donor[donor], other.by_donor[donor]) for donor in one.by_donor if donor in other.by_donor]
    known = [(a, b) for a, b in both if a[1] is not None and b[1] is not None]
    if not known:
        return None
    gains = (_mean([a[0] for a, _ in known]), _mean([b[0] for _, b in known]))
    nats = (_mean([a[1] or 0.0 for a, _ in known]), _mean([b[1] or 0.0 for _, b in known]))
    return Pair(len(known), gains, nats)
