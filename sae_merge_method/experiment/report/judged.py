"""What a claim's own test says of it; the answer is for :mod:`.claims`, which corrects all tests together."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sae_merge_method.artifacts.conclusions import Answer
from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.reports.numbers import p_value


class Judged(NamedTuple):
    """What the numbers say of a claim, by itself."""

    effect: float | None
    """Above 0 for the claim, below 0 against it; None where nothing was tested."""
    p: float | None
    """Of its test, uncorrected; None where nothing was tested."""
    evidence: str
    """The numbers, in a sentence."""
    meaning: Mapping[Answer, str] = {}
    """What an answer means, where that is not in the claim."""
    least_p: float = 0.0
    """The smallest p that its test can give with these arms; 0 where it can be as small as one likes."""


Judge = Callable[[Experiment], Judged]


def untested(reason: str) -> Judged:
    """Nothing was tested, for this reason."""
    return Judged(None, None, reason)


def within_reach(judged: Judged, alpha: float) -> Judged:
    """The same, or nothing tested where no p that there can be is below alpha."""
    if judged.p is None or judged.least_p < alpha:
        return judged
    return untested(
        f"{judged.evidence}; cannot be shown with so few: no p is below {p_value(judged.least_p)}"
    )


def answer(effect: float | None, p: float | None, alpha: float) -> Answer:
    """What a test says of the claim that ``effect`` is above 0."""
    if effect is None or p is None:
        return "not tested"
    if p >= alpha or effect == 0:
        return "not shown"
    return "yes" if effect > 0 else "no"
