"""The table of tests: what each looks at, and what it says where it cannot look."""

import math

import pytest

from sae_merge_method.statistics.differences import mcnemar_p, paired_z, z_pooled, z_unpooled
from sae_merge_method.statistics.tests import TESTS, Evidence, Mean

SCORES = [(0.0, 1.0)] * 12 + [(1.0, 0.0)] * 2 + [(1.0, 1.0)] * 18 + [(0.0, 0.0)] * 28


def mean(scores: list[float]) -> Mean:
    n = len(scores)
    value = sum(scores) / n
    return Mean(value, math.sqrt(sum((score - value) ** 2 for score in scores) / (n - 1) / n), n)


def evidence(pairs: list[tuple[float, float]]) -> Evidence:
    return Evidence(mean([base for base, _ in pairs]), mean([edited for _, edited in pairs]), pairs)


def test_each_test_is_its_function_of_what_is_known() -> None:
    known = evidence(SCORES)
    base, edited = known.base, known.edited
    outcomes = {name: test.of(known) for name, test in TESTS.items()}
    assert outcomes == {
        "lm_eval": z_unpooled(base.value, base.stderr, edited.value, edited.stderr, 60),
        "pooled": z_pooled(20, 30, 60, 60),
        "mcnemar": (None, mcnemar_p(12, 2), None),
        "paired_z": paired_z([edited - base for base, edited in SCORES]),
    }


def test_paired_tests_need_pairs_and_say_where_they_come_from() -> None:
    unpaired = evidence(SCORES)._replace(pairs=())
    for test in TESTS.values():
        outcome = test.of(unpaired)
        assert (outcome.p is None) == test.needs_pairs
        assert ("--log_samples" in str(outcome.reason)) == test.needs_pairs


def test_graded_scores_cannot_flip_and_cannot_be_pooled() -> None:
    graded = evidence([(0.25, 0.5), (0.5, 0.75), (1.0, 0.0)])
    assert graded.flips is None
    assert "0 or 1" in str(TESTS["mcnemar"].of(graded).reason)
    assert "0 or 1" in str(TESTS["pooled"].of(graded).reason)
    assert TESTS["paired_z"].of(graded).p is not None


def test_the_pooled_test_needs_the_number_of_problems_on_both_sides() -> None:
    known = evidence(SCORES)
    for unknown in (
        known._replace(base=known.base._replace(n=None)),
        known._replace(edited=Mean(0.5, 0.1, None)),
    ):
        assert "two or more problems" in str(TESTS["pooled"].of(unknown).reason)


def test_the_smaller_side_decides_whether_there_are_problems_enough() -> None:
    assert "n = 1" in str(TESTS["lm_eval"].of(Evidence(Mean(0.5, 0.1, 9), Mean(1.0, None, 1))).reason)
    assert TESTS["lm_eval"].of(Evidence(Mean(0.5, 0.1, None), Mean(1.0, 0.1, None))).p is not None


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS.keys())
def test_every_test_has_a_title_and_a_source(test) -> None:
    assert test.title and test.source
    assert TESTS[test.name] is test
