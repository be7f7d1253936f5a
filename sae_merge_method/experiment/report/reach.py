"""How far each claim's test can reach with the arms of a plan: the smallest p, known before any is run."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sae_merge_method.controls.unit_sets import is_matched
from sae_merge_method.experiment.prospect import Prospect
from sae_merge_method.experiment.report.standing import counted_among
from sae_merge_method.layers import part_of_layer
from sae_merge_method.reports.numbers import p_value
from sae_merge_method.statistics.curves import FEWEST_SETS, least_curve_p
from sae_merge_method.statistics.losses import FEWEST_ITEMS, skewness_allowed


class Reach(NamedTuple):
    """What a claim's test can come to."""

    least_p: float | None
    """The smallest p there can be, 0 where it can be as small as one likes; None where nothing is tested."""
    words: str
    """What is tested, or why nothing is."""


Reaches = Callable[[Prospect], Reach]


def two_scores(prospect: Prospect) -> Reach:
    """Of a test of two arms that answer the same problems."""
    if not prospect.problems:
        return Reach(0.0, "two scores")
    # Where every problem turns from wrong to right, half of them by chance: McNemar's exact p.
    return Reach(math.ldexp(1.0, 1 - prospect.problems), f"two scores on {prospect.problems:,} problems")


def other_features(prospect: Prospect) -> Reach:
    """Of what the features' span keeps beside those of other features of the same SAE."""
    measured = prospect.plan.projection
    others = measured.others if measured is not None else None
    if others is None or others.p is None:
        return Reach(None, f"takes {FEWEST_SETS} draws or more of other features of the same SAE")
    return Reach(0.0, f"t over {others.draws} draws of other features of the same SAE")


def matched_sets(prospect: Prospect) -> Reach:
    """Of the pick among the random sets that are matched with it."""
    plan = prospect.plan
    count = sum(
        arm.role == "random" and is_matched(plan.n_layers, plan.layers, arm.layers, plan.among)
        for arm in plan.arms
    )
    among = counted_among(plan.layers, plan.among) or " of layers"
    sets = f"{count} random sets of as many runs{among} at about the pick's depth"
    if count < FEWEST_SETS:
        return Reach(None, f"{sets}: nothing is tested with fewer than {FEWEST_SETS}")
    return Reach(0.0, f"t over {sets}; the rank alone gives no p below {p_value(1 / (1 + count))}")


def documents(prospect: Prospect) -> Reach:
    """Of the loss on general text."""
    count = prospect.documents
    if count < FEWEST_ITEMS:
        few = f"{count} documents: nothing is tested with fewer than {FEWEST_ITEMS}"
        return Reach(None, few if count else "takes general text (general_loss)")
    return Reach(
        0.0,
        f"t over {count:,} documents, margin {prospect.plan.harm_margin:g} nats a token; nothing is tested "
        f"where the skewness of their changes is above {skewness_allowed(count):.1f}",
    )


def matched_sets_and_documents(prospect: Prospect) -> Reach:
    """Of gain per damage."""
    return matched_sets(prospect) if prospect.documents else documents(prospect)


def two_scores_and_documents(prospect: Prospect) -> Reach:
    """Of a gain beside the damping curve at the same damage."""
    reach = documents(prospect)
    if reach.least_p is None:
        return reach
    return Reach(0.0, f"t over {prospect.problems:,} problems and {prospect.documents:,} documents")


def single_layers(prospect: Prospect) -> Reach:
    """Of the score against what single layers gain."""
    scores = prospect.plan.scores
    alone = [
        arm.layers for arm in prospect.plan.arms if arm.role == "layer" and set(arm.layers) <= scores.keys()
    ]
    count = len(alone)
    if count < 3:
        return Reach(None, "takes single layers (--single-layers)")
    if len({part_of_layer(unit) for units in alone for unit in units}) > 1:
        return Reach(None, "takes a profile in depth of one kind: of layers, of attention or of MLPs")
    return Reach(least_curve_p(count), f"shifts and mirror images of a profile of {count} layers")


def nothing(prospect: Prospect) -> Reach:
    """Of a claim that no arm can tell."""
    return Reach(None, "no arm of one experiment tells")


class Family(NamedTuple):
    """The claims that are corrected together."""

    size: int
    """How many will be tested."""
    alpha: float

    def at_worst(self, least_p: float) -> float:
        """The smallest p after Holm where no other claim has a smaller one."""
        return min(1.0, self.size * least_p)

    def smaller_needed(self, least_p: float) -> int | None:
        """How many other claims must have a smaller p for it to be significant after Holm; None for never."""
        if least_p >= self.alpha:
            return None
        # Holm multiplies by the number of claims whose p is no smaller, this one included.
        largest = next(n for n in range(self.size, 0, -1) if n * least_p < self.alpha)
        return self.size - largest


def family(reaches: Iterable[Reach], alpha: float) -> Family:
    """Of all claims that can be tested."""
    return Family(sum(reach.least_p is not None for reach in reaches), alpha)
