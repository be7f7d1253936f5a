"""The table of tests: what each looks at, and what it says where it cannot look."""

import math

import pytest
from click.testing import CliRunner

from sae_merge_method.cli.main import road
from sae_merge_method.compare.render import FORMATS
from sae_merge_method.compare.run import compare
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.publish.sections import verdict_section
from sae_merge_method.statistics.differences import Outcome, mcnemar_p, paired_z, z_pooled, z_unpooled
from sae_merge_method.statistics.tests import TESTS, Evidence, Mean, StatisticalTest

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


def test_a_new_test_is_in_help_in_compares_output_and_in_the_model_card(
    monkeypatch: pytest.MonkeyPatch, write_scores
) -> None:
    def more_flips_up_than_down(evidence: Evidence) -> Outcome:
        flips = evidence.flips
        return Outcome(None, 0.5 ** (flips.newly_right - flips.newly_wrong) if flips else None)

    flips = StatisticalTest("flips", "test that counts flips", "nobody 2026", True, more_flips_up_than_down)
    monkeypatch.setitem(TESTS, "flips", flips)
    words = " ".join(CliRunner().invoke(road, ["compare", "--help"]).output.split())
    assert "paired_z|flips]" in words
    assert "flips test that counts flips (nobody 2026), needs lm_eval --log_samples on both sides" in words
    paths = [
        write_scores(name, scores) for name, scores in (("base", [0] * 9), ("edited", [1] * 7 + [0] * 2))
    ]
    printed = CliRunner().invoke(road, ["compare", *map(str, paths), "--test", "flips"]).output
    assert "test that counts flips, two-sided, alpha 0.05" in printed
    assert "0.0078" in printed and "improved" in printed
    compared = compare(*paths, settings=CompareSettings(test="flips"))
    assert '"test": "flips"' in FORMATS["json"].render(compared)
    assert "`exact_match,none`, test that counts flips, two-sided" in verdict_section(compared.comparisons[0])
