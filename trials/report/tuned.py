"""What ``tune`` found for each donor, and the same edit as an arm of the donor's experiment."""

from collections.abc import Sequence
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
    exact: float | None
    """Exact answers of the tuned edit as an arm of the experiment; None where it is not among them."""
    stands_exact: str | None
    """Where it stands there beside the damping curve."""

    @property
    def beyond(self) -> bool:
        """Whether it gains more than all layers do at any weight that was measured."""
        gains = [one.report.gain.delta for one in self.tune.equal_gain.curve]
        return self.tune.winner.report.gain.delta > max(gains)

    @property
    def is_half(self) -> bool:
        """Whether it does half of the curve's damage or less at equal gain, and is shown to do less."""
        equal = self.tune.equal_gain
        return equal.ratio is not None and equal.ratio <= HALF and equal.damages == "less"

    @property
    def beside(self) -> float | None:
        """Its damage less the curve's at equal gain; None where there is no such place on the curve."""
        equal = self.tune.equal_gain
        return None if equal.damage is None else self.tune.winner.report.damage.delta - equal.damage

    @property
    def told_damage(self) -> str:
        """The curve's damage at equal gain, in words where there is none."""
        equal = self.tune.equal_gain
        if equal.damage is not None:
            return nats(equal.damage)
        return "none gains as much" if self.beyond else ""


def tuned_pairs(runs: Sequence[DonorRun]) -> list[TunedPair]:
    """Those that are done."""
    return [_pair(run, run.tune) for run in runs if run.tune is not None]


def _pair(run: DonorRun, tune: Tune) -> TunedPair:
    arm = run.experiment.arm(TUNED) if run.experiment else None
    curve = run.experiment.damping_curve if run.experiment else None
    standings = {one.arm: one.stands for one in curve.standings} if curve else {}
    return TunedPair(
        donor=run.donor,
        tune=tune,
        exact=arm.overall.score if arm is not None else None,
        stands_exact=standings.get(TUNED),
    )
