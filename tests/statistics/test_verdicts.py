"""The word that a p becomes."""

import pytest

from sae_merge_method.statistics.verdicts import DEGRADED, IMPROVED, UNCHANGED, UNTESTED, VERDICTS, judge


@pytest.mark.parametrize(
    ("p", "delta", "higher_is_better", "verdict"),
    [
        (0.01, 0.1, True, IMPROVED),
        (0.01, -0.1, True, DEGRADED),
        (0.01, -0.1, False, IMPROVED),
        (0.01, 0.1, False, DEGRADED),
        (0.05, 0.1, True, UNCHANGED),  # significant is below alpha, not at it
        (1.0, 0.0, True, UNCHANGED),
        (0.01, 0.0, True, UNCHANGED),  # a test that looks at something else than the mean
        (0.01, 0.0, False, UNCHANGED),
        (None, 0.1, True, UNTESTED),
    ],
)
def test_a_verdict_takes_a_p_below_alpha_and_the_way_the_metric_runs(
    p: float | None, delta: float, higher_is_better: bool, verdict: str
) -> None:
    assert judge(p, delta, 0.05, higher_is_better=higher_is_better) == verdict
    assert VERDICTS[verdict].name == verdict


def test_the_words_are_those_that_files_and_exit_codes_rely_on() -> None:
    assert list(VERDICTS) == ["improved", "degraded", "unchanged", "untested"]
    assert all(verdict.description for verdict in VERDICTS.values())


def test_only_two_verdicts_say_that_something_changed() -> None:
    assert [verdict.name for verdict in VERDICTS.values() if verdict.is_change] == [IMPROVED, DEGRADED]
