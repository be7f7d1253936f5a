"""What ``tune`` found against all layers damped: gain at equal damage, damage at equal gain."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.reports.numbers import nats
from trials.experiments import TUNED
from trials.folder import DonorName
from trials.report.read import DonorRun

HALF = 0.5


class TunedPair(NamedTuple):
    """One donor's tuned edit."""

    donor: DonorName
    tune: Tune
    curve_damage: float | None
    """Damage of all layers at the weight that gains as much; None where no weight of all layers that was
    measured does."""
    beyond: bool
    """Whether it gains more than all layers do at any weight that was measured."""
    exact: float | None
    """Exact answers of the tuned edit as an arm of the experiment; None where it is not among them."""
    stands_exact: str | None
    """Where it stands there beside the damping curve."""

    @property
    def share(self) -> float | None:
        """Its damage as a share of the curve's at equal gain."""
        if self.curve_damage is None or self.curve_damage <= 0:
            return None
        return self.tune.winner.report.damage.delta / self.curve_damage

    @property
    def is_half(self) -> bool:
        """Whether it does half of the curve's damage or less at equal gain."""
        return self.beyond or (self.share is not None and self.share <= HALF)

    @property
    def told_damage(self) -> str:
        """The curve's damage at equal gain, in words where there is none."""
        if self.curve_damage is not None:
            return nats(self.curve_damage)
        return "none gains as much" if self.beyond else ""


def tuned_pairs(runs: Sequence[DonorRun]) -> list[TunedPair]:
    """Those that are done."""
    return [_pair(run, run.tune) for run in runs if run.tune is not None]


def _pair(run: DonorRun, tune: Tune) -> TunedPair:
    points = _curve(tune)
    gain = tune.winner.report.gain.delta
    arm = run.experiment.arm(TUNED) if run.experiment else None
    curve = run.experiment.damping_curve if run.experiment else None
    standings = {one.arm: one.stands for one in curve.standings} if curve else {}
    return TunedPair(
        donor=run.donor,
        tune=tune,
        curve_damage=damage_at(points, gain),
        beyond=gain > max(one for one, _ in points),
        exact=arm.overall.score if arm is not None else None,
        stands_exact=standings.get(TUNED),
    )


def _curve(tune: Tune) -> list[tuple[float, float]]:
    """(gain, damage) of all layers at every weight that the report part measured, the base first."""
    effects = [tune.beside_curve.low.report, tune.beside_curve.high.report]
    effects += [one.report for one in tune.rivals if one.name in ("all layers damped", "donor")]
    return [(0.0, 0.0), *sorted((one.gain.delta, one.damage.delta) for one in effects)]


def damage_at(points: Sequence[tuple[float, float]], gain: float) -> float | None:
    """The least damage at which straight lines between points reach a gain.

    Args:
        points: (gain, damage), by gain.
        gain: Of the edit that is held against them.
    """
    reached = []
    for (low, at_low), (high, at_high) in pairwise(points):
        if low <= gain <= high and high > low:
            reached.append(at_low + (gain - low) / (high - low) * (at_high - at_low))
    return min(reached, default=None)
