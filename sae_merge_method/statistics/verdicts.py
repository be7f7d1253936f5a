"""The words for what a test says of a score, and the one place that chooses among them."""

from typing import NamedTuple

from sae_merge_method.statistics.intervals import Interval


class Verdict(NamedTuple):
    """A word for what a test says."""

    name: str
    description: str
    is_change: bool
    """Whether it says that the score changed."""
    colour: str
    """In pictures."""
    colour_name: str
    """What a caption calls it."""
    is_common: bool = True
    """Whether a count of verdicts names it even where there is none."""


IMPROVED, DEGRADED = "improved", "degraded"
EQUIVALENT, NOT_SHOWN, NOT_TESTED = "equivalent", "not shown", "not tested"

VERDICTS: dict[str, Verdict] = {
    verdict.name: verdict
    for verdict in (
        Verdict(IMPROVED, "significantly better", is_change=True, colour="#1b7837", colour_name="green"),
        Verdict(DEGRADED, "significantly worse", is_change=True, colour="#b2182b", colour_name="red"),
        Verdict(
            EQUIVALENT,
            "the change is shown to be smaller than the margin, either way",
            is_change=False,
            colour="#2166ac",
            colour_name="blue",
            is_common=False,
        ),
        Verdict(
            NOT_SHOWN,
            "no change is shown, which is no proof that there is none",
            is_change=False,
            colour="#737373",
            colour_name="grey",
        ),
        Verdict(
            NOT_TESTED,
            "there is no p, for the reason given",
            is_change=False,
            colour="#bdbdbd",
            colour_name="light grey",
            is_common=False,
        ),
    )
}


def judge(
    p: float | None,
    delta: float,
    alpha: float,
    *,
    higher_is_better: bool,
    likely: Interval | None = None,
    margin: float | None = None,
) -> str:
    """The name of the verdict.

    A change that is shown is named, however small; "equivalent" is for what is shown to be too small to
    matter, by two one-sided tests (Schuirmann 1987), which is an interval at 1 - 2 alpha inside the margin.

    Args:
        p: Two-sided; None where there is no test.
        delta: Edited minus base.
        alpha: Level of the test.
        higher_is_better: Which way the metric runs.
        likely: Interval of the difference at 1 - 2 alpha; None where there is none.
        margin: Change that does not matter, either way; None where nobody said.
    """
    if p is None:
        return NOT_TESTED
    if p < alpha and delta != 0:  # at 0, whatever a test saw, the score itself did not move
        return IMPROVED if (delta > 0) == higher_is_better else DEGRADED
    if margin is not None and likely is not None and -margin < likely.low and likely.high < margin:
        return EQUIVALENT
    return NOT_SHOWN
