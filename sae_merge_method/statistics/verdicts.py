"""The words for what a test says of a score, and the one place that chooses among them."""

from typing import NamedTuple


class Verdict(NamedTuple):
    """A word for what a test says."""

    name: str
    description: str
    is_change: bool
    """Whether it says that the score changed."""


IMPROVED, DEGRADED, UNCHANGED, UNTESTED = "improved", "degraded", "unchanged", "untested"

VERDICTS: dict[str, Verdict] = {
    verdict.name: verdict
    for verdict in (
        Verdict(IMPROVED, "significantly better", is_change=True),
        Verdict(DEGRADED, "significantly worse", is_change=True),
        Verdict(UNCHANGED, "no significant change", is_change=False),
        Verdict(UNTESTED, "there is no p, for the reason given", is_change=False),
    )
}


def judge(p: float | None, delta: float, alpha: float, *, higher_is_better: bool) -> str:
    """The name of the verdict.

    Args:
        p: Two-sided; None where there is no test.
        delta: Edited minus base.
        alpha: Level of the test.
        higher_is_better: Which way the metric runs.
    """
    if p is None:
        return UNTESTED
    if p >= alpha or delta == 0:  # whatever a test saw, the score itself did not move
        return UNCHANGED
    return IMPROVED if (delta > 0) == higher_is_better else DEGRADED
