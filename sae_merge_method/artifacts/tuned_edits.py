"""What ``tune.json`` says of single edits: those that were searched, the one that was chosen, and its rivals.

The whole file is in :mod:`.tune`.
"""

from typing import Literal

from pydantic import Field

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.artifacts.unit import UnitField
from sae_merge_method.statistics.beside_curve import Beside

Budget = Literal["kept", "exceeded", "not shown"]
Held = Literal["better", "worse", "not shown", "not tested"]
Spared = Literal["less", "more", "not shown", "not tested"]


class Change(Record):
    """How much more, or less, of something: told by the same texts, or their sources, or problems."""

    delta: float
    """The difference, in nats a token of texts, in the metric of a task."""
    interval: tuple[float, float] | None
    """Interval of delta at 1 - alpha, over texts or problems; where sources are named, over these; null where
    all changed alike."""


class Scored(Record):
    """What an edit scores on the problems of a task, on one part."""

    score: float
    """Mean of the metric over the problems."""
    change: float
    """The score less the base's."""
    interval: tuple[float, float] | None
    """Interval of change at 1 - alpha, the same problems under both; null where it has none."""


class Effect(Record):
    """What an edit does on one part of the texts."""

    gain: Change
    """Nats a token that the target loses."""
    damage: Change
    """Nats a token that the control text gains, of several the one that is harmed most."""
    control: str
    """The control text that damage is of."""
    task: Scored | None
    """On the task that chooses and judges; null where none does, and on the search part."""
    guard: Scored | None
    """On the task that must not be harmed; null without one, and where it was not asked."""


class SearchedEdit(Record):
    """One edit that was measured."""

    family: str
    """Kind of edit it is of."""
    shape: str
    """Which layers or modules it takes, or how its weights were come by."""
    units: tuple[UnitField, ...]
    """What has a weight, in the order of depth: every layer; or the attention and the MLP of every layer, and
    then what of a layer is in neither stays the base's."""
    weights: tuple[tuple[float, ...], ...]
    """For each donor, the weight of its task vector in every unit."""
    search: Effect
    """On the search part, where it was found."""
    choice: Effect | None
    """On the choice part; null for edits that were no finalists."""


class Winner(Record):
    """The edit that was chosen, as recipe.yml has it."""

    family: str
    """Kind of edit it is of."""
    shape: str
    """Which layers or modules it takes, or how its weights were come by."""
    units: tuple[UnitField, ...]
    """What has a weight, in the order of depth: every layer; or the attention and the MLP of every layer, and
    then what of a layer is in neither stays the base's."""
    weights: tuple[tuple[float, ...], ...]
    """For each donor, the weight of its task vector in every unit."""
    scaled: float
    """Factor by which the finalist's weights were made smaller to meet the budget on the choice part; 1 for
    as it was searched."""
    search: Effect | None
    """On the search part; null where it was scaled after the search."""
    choice: Effect
    """On the choice part, where it was the best: partly by luck."""
    report: Effect
    """On the report part, where nothing was chosen."""
    curse: float
    """Winner's curse: gain on the choice part less gain on the report part; in the task's score where one
    judges, else in nats a token."""
    budget: Budget
    """Whether damage on the report part is shown to be within the budget on every control, or above it on
    some, one-sided at alpha, the latter corrected by Bonferroni over the controls."""
    points: Budget | None
    """Whether the points that the guard loses there are shown to be within the budget, or above it; null
    without a guard."""


class Rival(Record):
    """One edit beside the winner on the report part."""

    name: str
    """What it is called."""
    description: str
    """What it is, and what beating it says."""
    units: tuple[UnitField, ...]
    """What has a weight, in the order of depth: every layer; or the attention and the MLP of every layer, and
    then what of a layer is in neither stays the base's."""
    weights: tuple[tuple[float, ...], ...]
    """For each donor, the weight of its task vector in every unit."""
    report: Effect
    """On the report part."""
    difference: Change
    """The winner's gain less its own, in nats a token."""
    task: Change | None
    """The winner's score on the task less its own; null where no task judges."""
    p: float | None
    """Two-sided p, the same problems under both: of the task's scores where one judges, else of difference;
    null where nothing could be tested."""
    p_adjusted: float | None
    """p corrected by Holm over all rivals; null where there is no p."""
    winner_is: Held
    """What the corrected p says at alpha; not shown is no proof of no difference."""


class CurvePoint(Record):
    """All layers at one weight, on the report part."""

    weight: float = Field(ge=0)
    """The weight; 0 where the base itself comes nearest to the winner."""
    report: Effect
    """What it does."""


class BesideCurve(Record):
    """The winner beside the damping curve, all layers at one weight, at its own damage on the report part."""

    low: CurvePoint
    """The point with less damage; where share is null and difference is not, the point of the whole curve
    that comes nearest in gain, whatever its damage."""
    high: CurvePoint
    """The point with more damage; the same as low where share is null and difference is not."""
    through: CurvePoint | None = None
    """The point that damages most nearly as much as the winner: the line is drawn through it, as steep as
    between low and high; null where it is drawn between those two."""
    share: float | None
    """How far along the damage from low to high the winner's lies, 0 to 1; beside a point through which the
    line is drawn, how much further than that one's; null where that cannot be told."""
    difference: Change | None
    """The winner's gain less the curve's at the same damage, in the task's score where one judges, else in
    nats a token; where that cannot be told, and it gains more than all of the curve, less that of the point
    low; else null."""
    p: float | None
    """Two-sided p of difference, Student's t over problems and passages; null where nothing was tested."""
    stands: Beside
    """above or below the curve at alpha; not shown, where neither is; not tested, for the reason."""
    reason: str | None
    """Why nothing was tested; null where it was."""


class EqualGain(Record):
    """The winner beside all layers damped until they gain as much as it does, on the report part."""

    curve: tuple[CurvePoint, ...]
    """All layers at the weights that were measured for it, ascending."""
    weight: float | None
    """Weight at which all layers gain what the winner does, between two points of the curve; null where that
    cannot be told."""
    damage: float | None
    """What all layers do there, in nats a token, to the control that the winner harms most; null where that
    cannot be told."""
    difference: Change | None = None
    """The winner's damage less that, with an interval at 1 - alpha over the same passages and problems; null
    where nothing was tested."""
    ratio: float | None
    """The winner's damage over that, 0.5 for half of it; null where it cannot be told, as where all layers do
    no damage to speak of."""
    interval: tuple[float, float] | None
    """Interval of ratio at 1 - alpha; null where it cannot be told."""
    p: float | None
    """Two-sided p of a difference of 0, over passages and problems; null where nothing was tested."""
    damages: Spared
    """Whether the winner does less or more damage at equal gain, at alpha; not shown, where neither is; not
    tested, for the reason."""
    reason: str | None
    """Why nothing was tested; null where it was."""
