"""What ``experiment.json`` says of all arms together: where the pick stands, single layers, each claim.

The arms themselves and the whole file are in :mod:`.experiment`.
"""

from typing import Literal

from pydantic import Field

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.artifacts.subject import Test
from sae_merge_method.statistics.beside_curve import Beside

Answer = Literal["yes", "no", "not shown", "not tested"]


class Rank(Record):
    """Where the pick stands among arms with other layers."""

    better: int = Field(ge=0)
    """How many of the other arms gained at least as much as the pick."""
    others: int = Field(ge=1)
    """How many other arms there are."""

    @property
    def rank(self) -> int:
        """1 is best."""
        return 1 + self.better


class MatchedSets(Rank):
    """The pick beside sets of layers that might as well have been picked: drawn at random, as many layers in
    as many unbroken runs, counted among the experiment's ``among``, at about the same depth."""

    rank_p: float = Field(gt=0, le=1)
    """(1 + better) / (1 + others), one-sided: exact where the pick is as likely as any of them to be best."""
    mean: float
    """Mean gain of the sets."""
    excess: float
    """The pick's gain minus that mean: the size of the effect."""
    low: float | None
    """Lower end of the interval of excess at 1 - alpha, by how much one more such set would differ; null
    where the sets are fewer than five or all gained alike."""
    high: float | None
    """Upper end of that interval; null where there is none."""
    t: float | None
    """excess over the spread of the sets, Student's t with others - 1 degrees of freedom; null where there
    is no interval."""
    p: float | None
    """Two-sided p of t; null where there is no t."""
    farthest: float = Field(ge=0)
    """Largest difference, in layers, between the mean depth of a set and the pick's."""


class LayerCurve(Record):
    """The score that layers are chosen by against what each gains injected alone: two profiles over depth."""

    layers: int = Field(ge=3)
    """Number of layers that have both a score and a gain."""
    rho: float | None
    """Spearman's rank correlation of score and gain; null where either does not vary."""
    p: float | None
    """Two-sided p of rho, by circular shifts and mirror images of the profile, which keep its smoothness;
    null where there is no rho."""
    partial_rho: float | None
    """Rank correlation given depth, its square and the injected energy; null where nothing varies beside."""
    partial_p: float | None
    """Two-sided p of partial_rho by the same images; null where there is no partial_rho."""
    least_p: float = Field(gt=0, le=1)
    """The smallest p that so many layers can give."""


class CurveStanding(Record):
    """One arm beside the damping curve, at its own damage to general text."""

    arm: str
    """Name of the arm."""
    low: str
    """Name of the arm on the curve that does less damage; where share is null and delta is not, of the arm on
    the curve that comes nearest, whatever its damage."""
    high: str
    """Name of the arm on the curve that does more damage; the same as low where share is null and delta is
    not."""
    share: float | None
    """How far along the damage from low to high the arm's lies, 0 to 1; null where that cannot be told."""
    delta: float | None
    """The arm's score minus the curve's at the same damage, over all tasks, above 0 for better; where that
    cannot be told, and the arm gains more than all of the curve, minus that of the arm low; else null."""
    interval: tuple[float, float] | None
    """Interval of delta at 1 - alpha: over problems, and over the passages that damage is measured on; null
    where nothing was tested."""
    p: float | None
    """Two-sided p of delta, Student's t; null where nothing was tested."""
    p_adjusted: float | None
    """p corrected by Holm over all arms beside the curve; null where there is no p."""
    stands: Beside
    """above or below the curve, by the corrected p at alpha; on it, where delta is shown to be smaller than
    the margin; not shown, where none of them is; not tested, for the reason."""
    reason: str | None
    """Why nothing was tested; null where it was."""


class DampingCurve(Record):
    """All layers at one weight each, from none to all of the task vector, and the other arms beside that
    line."""

    arms: tuple[str, ...]
    """Names of the arms on the curve, least damage first; between two of them it is taken to be straight."""
    margin: float = Field(gt=0)
    """Distance from the curve that does not matter, in the score's own unit."""
    standings: tuple[CurveStanding, ...]
    """Every other arm whose damage is known."""


class ArmContrast(Record):
    """One arm held against another by their answers to the same problems; above 0 the first is better,
    whichever way the metric runs."""

    one: str
    """Name of the first arm."""
    other: str
    """Name of the arm that it is held against."""
    delta: float
    """Score of the first arm minus that of the other, over all tasks; of a metric that should fall, the
    other way round."""
    test: Test
    """Test that p and interval are by: the experiment's, or the one that fits."""
    z: float | None
    """Statistic of the test; null where there is none, and for tests that have only a p."""
    p: float | None
    """Two-sided p of the test; null where nothing could be tested, for the reason."""
    reason: str | None
    """Why there is no p; null where there is one."""
    interval: tuple[float, float] | None
    """Interval of delta by the test, at 1 - alpha; null where it has none."""
    detectable: float | None
    """Smallest true difference that the test finds at alpha with a chance of 80 %; null where that cannot be
    told."""
    paper_z: float | None
    """The paper's z, delta over lm-eval's standard errors of both arms, unpaired; null without them."""
    paper_p: float | None
    """Two-sided p of the paper's z; null where there is no such z."""


class Conclusion(Record):
    """One claim, and what the numbers say of it."""

    claim: str
    """What may hold, as a sentence."""
    answer: Answer
    """What its test says at the experiment's level after correction for all claims. "no" is significance the
    other way, "not shown" is no proof of the opposite, and "not tested" means that these arms cannot tell."""
    p: float | None
    """p of the claim's test by itself; null where it was not tested."""
    p_adjusted: float | None
    """p corrected by Holm over all claims that were tested; null where it was not tested."""
    evidence: str
    """The numbers behind the answer, in a sentence."""
