"""The table of tests: what each looks at, and what it says where it cannot look."""

import math
from dataclasses import replace

import pytest
from click.testing import CliRunner

from sae_merge_method.cli.main import road
from sae_merge_method.compare.render import FORMATS
from sae_merge_method.compare.run import compare
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.publish.measured import verdict_section
from sae_merge_method.statistics.differences import Tested, fisher, mcnemar, z_pooled, z_unpooled
from sae_merge_method.statistics.evidence import Evidence, Mean
from sae_merge_method.statistics.flips import detectable_by_flips, tango_interval
from sae_merge_method.statistics.intervals import newcombe_interval, normal_interval
from sae_merge_method.statistics.pairs import paired_interval, paired_stderr, paired_z, sign_flips
from sae_merge_method.statistics.tests import TESTS, StatisticalTest

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
    differences = [edited - base for base, edited in SCORES]
    assert outcomes == {
        "auto": mcnemar(12, 2),
        "lm_eval": z_unpooled(base.value, base.stderr, edited.value, edited.stderr, 60),
        "pooled": z_pooled(20, 30, 60, 60),
        "fisher": fisher(20, 30, 60, 60),
        "mcnemar": mcnemar(12, 2),
        "paired_z": paired_z(differences),
        "permutation": sign_flips(differences),
    }


def test_auto_pairs_where_pairs_are_all_there_is_to_both_scores() -> None:
    known = evidence(SCORES)
    graded = evidence([(0.25, 0.5), (0.5, 0.75), (1.0, 0.0)])
    sampled = replace(known, problems=[f"problem {nth // 4}" for nth in range(60)])
    some = replace(known, pairs=SCORES[:40])
    chosen = [TESTS["auto"].for_this(one).name for one in (known, graded, sampled, some)]
    assert chosen == ["mcnemar", "permutation", "permutation", "lm_eval"]
    assert TESTS["auto"].of(graded) == sign_flips(graded.differences)
    assert TESTS["auto"].of(sampled) == sign_flips([4.0] * 3 + [-2.0] + [0.0] * 11)


@pytest.mark.parametrize(
    ("base", "edited", "test"),
    [
        ([0.0] * 50, [1.0] * 4 + [0.0] * 46, "fisher"),
        ([1.0] * 50, [0.0] * 50, "fisher"),
        ([1.0] * 5 + [0.0] * 45, [1.0] * 9 + [0.0] * 41, "lm_eval"),
        ([1.0] * 46 + [0.0] * 4, [1.0] * 30 + [0.0] * 20, "fisher"),
        ([0.25, 0.5, 0.75], [0.5, 0.5, 1.0], "lm_eval"),
    ],
)
def test_near_the_edges_two_scores_alone_are_tested_exactly(
    base: list[float], edited: list[float], test: str
) -> None:
    alone = Evidence(mean(base), mean(edited))
    assert TESTS["auto"].for_this(alone).name == test
    assert TESTS["auto"].of(alone) == TESTS[test].of(alone)


def test_each_test_has_its_interval_and_what_it_can_detect() -> None:
    known = evidence(SCORES)
    stderr = math.hypot(known.base.stderr or 0, known.edited.stderr or 0)
    paired = paired_stderr(known.differences)
    size = 1.9599639845 + 0.8416212336
    expected = {
        "lm_eval": (normal_interval(10 / 60, stderr, 0.95), size * stderr),
        "pooled": (newcombe_interval((20, 60), (30, 60), 0.95), size * stderr),
        "fisher": (newcombe_interval((20, 60), (30, 60), 0.95), size * stderr),
        "mcnemar": (tango_interval(12, 2, 60, 0.95), detectable_by_flips(12, 2, 60, 0.05, 0.8)),
        "paired_z": (normal_interval(10 / 60, paired or 0, 0.95), size * (paired or 0)),
        "permutation": (tango_interval(12, 2, 60, 0.95), size * (paired or 0)),
    }
    for name, (interval, detectable) in expected.items():
        assert TESTS[name].interval(known, 0.95) == pytest.approx(interval)
        assert TESTS[name].detectable(known, 0.05, 0.8) == pytest.approx(detectable)
    graded = evidence([(0.25, 0.5), (0.5, 0.75), (1.0, 0.0)])
    low, high = TESTS["lm_eval"].interval(graded, 0.95) or (0, 0)
    assert (low + high) / 2 == pytest.approx(graded.edited.value - graded.base.value)
    assert TESTS["permutation"].interval(graded, 0.95) == paired_interval(graded.differences, (), 0.95)
    assert TESTS["mcnemar"].detectable(graded, 0.05, 0.8) is None
    assert TESTS["pooled"].interval(graded, 0.95) is None


def test_what_flips_nothing_or_moves_alike_still_has_bounds_or_says_that_it_has_none() -> None:
    still = evidence([(1.0, 1.0)] * 30 + [(0.0, 0.0)] * 30)
    low, high = TESTS["mcnemar"].interval(still, 0.95) or (0, 0)
    assert low == pytest.approx(-high) and 0.05 < high < 0.07
    assert TESTS["mcnemar"].detectable(still, 0.05, 0.8) == detectable_by_flips(0, 0, 60, 0.05, 0.8)
    assert TESTS["mcnemar"].detectable(evidence([(1.0, 1.0), (0.0, 0.0)] * 2), 0.05, 0.8) is None
    assert TESTS["paired_z"].interval(still, 0.95) is TESTS["paired_z"].detectable(still, 0.05, 0.8) is None
    nothing = Evidence(Mean(0.0, 0.0, 9), Mean(0.0, 0.0, 9))
    assert TESTS["lm_eval"].interval(nothing, 0.95) is TESTS["lm_eval"].detectable(nothing, 0.05, 0.8) is None


def test_paired_tests_need_pairs_and_say_where_they_come_from() -> None:
    unpaired = replace(evidence(SCORES), pairs=())
    for test in TESTS.values():
        outcome = test.of(unpaired)
        assert (outcome.p is None) == test.needs_pairs
        assert ("--log_samples" in str(outcome.reason)) == test.needs_pairs
    assert {name for name, test in TESTS.items() if test.needs_pairs} == {
        "mcnemar",
        "paired_z",
        "permutation",
    }


def test_graded_scores_cannot_flip_and_cannot_be_pooled() -> None:
    graded = evidence([(0.25, 0.5), (0.5, 0.75), (1.0, 0.0)])
    assert graded.flips is None
    assert "0 or 1" in str(TESTS["mcnemar"].of(graded).reason)
    assert "0 or 1" in str(TESTS["pooled"].of(graded).reason)
    assert TESTS["paired_z"].of(graded).p is not None


def test_the_pooled_test_needs_the_number_of_problems_on_both_sides() -> None:
    known = evidence(SCORES)
    for unknown in (
        replace(known, base=known.base._replace(n=None)),
        replace(known, edited=Mean(0.5, 0.1, None)),
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
    def more_flips_up_than_down(evidence: Evidence) -> Tested:
        flips = evidence.flips
        return Tested(None, 0.5 ** (flips.newly_right - flips.newly_wrong) if flips else None)

    flips = StatisticalTest("flips", "test that counts flips", "nobody 2026", True, more_flips_up_than_down)
    monkeypatch.setitem(TESTS, "flips", flips)
    words = " ".join(CliRunner().invoke(road, ["compare", "--help"]).output.split())
    assert "permutation|flips]" in words
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
