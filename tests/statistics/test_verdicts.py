"""The word that a p becomes."""

import pytest

from sae_merge_method.statistics.intervals import Interval
from sae_merge_method.statistics.verdicts import (
    DEGRADED,
    EQUIVALENT,
    IMPROVED,
    NOT_SHOWN,
    NOT_TESTED,
    VERDICTS,
    judge,
)


@pytest.mark.parametrize(
    ("p", "delta", "higher_is_better", "verdict"),
    [
        (0.01, 0.1, True, IMPROVED),
        (0.01, -0.1, True, DEGRADED),
        (0.01, -0.1, False, IMPROVED),
        (0.01, 0.1, False, DEGRADED),
        (0.05, 0.1, True, NOT_SHOWN),  # significant is below alpha, not at it
        (1.0, 0.0, True, NOT_SHOWN),
        (0.01, 0.0, True, NOT_SHOWN),  # a test that looks at something else than the mean
        (0.01, 0.0, False, NOT_SHOWN),
        (None, 0.1, True, NOT_TESTED),
    ],
)
def test_a_verdict_takes_a_p_below_alpha_and_the_way_the_metric_runs(
    p: float | None, delta: float, higher_is_better: bool, verdict: str
) -> None:
    assert judge(p, delta, 0.05, higher_is_better=higher_is_better) == verdict
    assert VERDICTS[verdict].name == verdict


def test_the_words_are_those_that_files_and_exit_codes_rely_on() -> None:
    assert list(VERDICTS) == ["improved", "degraded", "equivalent", "not shown", "not tested"]
    assert all(verdict.description for verdict in VERDICTS.values())


def test_a_count_names_what_every_comparison_can_come_to_even_where_there_is_none() -> None:
    assert [one.name for one in VERDICTS.values() if one.is_common] == [IMPROVED, DEGRADED, NOT_SHOWN]


def test_only_two_verdicts_say_that_something_changed() -> None:
    assert [verdict.name for verdict in VERDICTS.values() if verdict.is_change] == [IMPROVED, DEGRADED]


@pytest.mark.parametrize(
    ("p", "likely", "margin", "verdict"),
    [
        (0.5, (-0.01, 0.015), 0.02, EQUIVALENT),
        (0.5, (-0.01, 0.02), 0.02, NOT_SHOWN),  # the margin itself is not ruled out
        (0.5, (-0.02, 0.01), 0.02, NOT_SHOWN),
        (0.5, (-0.03, 0.01), 0.02, NOT_SHOWN),
        (0.5, (-0.01, 0.03), 0.02, NOT_SHOWN),
        (0.5, (-0.01, 0.015), None, NOT_SHOWN),
        (0.5, None, 0.02, NOT_SHOWN),
        (0.01, (0.001, 0.015), 0.02, IMPROVED),  # a change that is shown is named, however small
        (None, (-0.01, 0.015), 0.02, NOT_TESTED),
    ],
)
def test_a_change_is_equivalent_to_none_where_it_is_shown_to_be_within_the_margin(
    p: float | None, likely: tuple[float, float] | None, margin: float | None, verdict: str
) -> None:
    interval = None if likely is None else Interval(*likely)
    assert judge(p, 0.005, 0.05, higher_is_better=True, likely=interval, margin=margin) == verdict
