"""The same problems answered by both sides, against worked numbers and independent implementations."""

import itertools
import math
import random

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.weightstats import DescrStatsW

from sae_merge_method.statistics import pairs
from sae_merge_method.statistics.differences import mcnemar
from sae_merge_method.statistics.pairs import (
    paired_interval,
    paired_stderr,
    paired_z,
    problem_sums,
    sign_flips,
)


def test_the_paired_z_is_that_of_the_differences() -> None:
    draw = random.Random(0)
    differences = [draw.choice((-1.0, 0.0, 0.0, 1.0, 1.0)) for _ in range(200)]
    assert paired_z(differences)[:2] == pytest.approx(DescrStatsW(differences).ztest_mean(0))
    # Two problems: mean 1/2, sd sqrt(1/2), so z = 1/2 / (sqrt(1/2) / sqrt 2) = 1.
    assert paired_z([0.0, 1.0]).z == pytest.approx(1)


@pytest.mark.parametrize(
    ("differences", "problems", "reason"),
    [
        ([], [], "n = 0"),
        ([1.0], [], "n = 1"),
        ([1.0, 0.0], ["one", "one"], "n = 1"),
        ([0.0, 0.0], [], "zero variance"),
    ],
)
def test_without_variance_or_problems_there_is_no_paired_z(
    differences: list[float], problems: list[str], reason: str
) -> None:
    test = paired_z(differences, problems)
    assert test.z is test.p is None
    assert reason in str(test.reason)


def test_answers_to_one_problem_move_together() -> None:
    draw = np.random.default_rng(0)
    difficulty = np.repeat(draw.normal(0, 1, 40), 5)
    differences = difficulty + draw.normal(0, 0.3, 200)
    problems = [f"problem {i // 5}" for i in range(200)]
    fit = OLS(differences, np.ones(200)).fit(
        cov_type="cluster", cov_kwds={"groups": np.arange(200) // 5, "use_correction": False}
    )
    # statsmodels' clusters without its correction, times the square root of C / (C - 1).
    expected = float(fit.bse[0]) * math.sqrt(40 / 39)
    assert paired_stderr(list(differences), problems) == pytest.approx(expected)
    assert expected > 2 * (paired_stderr(list(differences)) or 0)
    assert problem_sums([1.0, 2.0, 4.0], ["b", "a", "b"]) == [5.0, 2.0]


@pytest.mark.parametrize(("right", "wrong"), [(0, 0), (1, 0), (0, 6), (7, 7), (12, 2), (103, 50), (400, 444)])
def test_flipping_signs_of_right_and_wrong_answers_is_mcnemars_test(right: int, wrong: int) -> None:
    test = sign_flips([1.0] * right + [-1.0] * wrong + [0.0] * 40)
    assert test.p == pytest.approx(mcnemar(right, wrong).p, rel=1e-9)


@pytest.mark.parametrize(
    "sums",
    [
        [3.0, -1.0, 2.0, 2.0, 0.0, 1.0],
        [0.25, 0.5, -0.75, 1.0, 0.25],
        [7 / 64, -3 / 64, 1 / 64, 2 / 64, 5 / 64],  # the mean of as many answers as may be
        [2 / 63, 4 / 63, -1 / 63, 8 / 63],
    ],
)
def test_every_order_of_signs_is_counted(sums: list[float]) -> None:
    moved = [part for part in sums if part]
    totals = [sum(s * part for s, part in zip(signs, moved, strict=True)) for signs in _signs(len(moved))]
    low = sum(total <= sum(sums) + 1e-12 for total in totals) / len(totals)
    high = sum(total >= sum(sums) - 1e-12 for total in totals) / len(totals)
    assert sign_flips(sums).p == pytest.approx(min(1, 2 * min(low, high)))


def _signs(n: int) -> list[tuple[int, ...]]:
    return list(itertools.product((-1, 1), repeat=n))


def test_graded_scores_draw_their_signs_as_scipy_does() -> None:
    sums = list(np.random.default_rng(4).normal(0.25, 1, 60))
    expected = stats.permutation_test(
        (sums,), np.sum, permutation_type="samples", n_resamples=9_999, rng=np.random.default_rng(5)
    ).pvalue
    test = sign_flips(sums)
    assert test.p == pytest.approx(expected, abs=0.02)
    assert test == sign_flips(sums)
    assert sign_flips([math.pi] * 60).p == 2 / 10_000  # never 0


@pytest.mark.parametrize(("up", "down"), [(34, 26), (26, 34), (30, 30), (42, 18), (18, 42)])
def test_drawn_signs_count_those_that_are_as_far_either_way(up: int, down: int) -> None:
    # Sums of one size, of which no small number makes whole ones: drawn, they are McNemar's all the same.
    drawn = sign_flips([math.pi] * up + [-math.pi] * down)
    assert drawn.p == pytest.approx(mcnemar(up, down).p, abs=0.02)
    assert drawn.p is not None and round(drawn.p * 10_000) == pytest.approx(drawn.p * 10_000)


def test_as_many_problems_as_answers_are_asked_for() -> None:
    with pytest.raises(ValueError):
        problem_sums([1.0, 0.0], ["one"])


def test_many_answers_a_problem_are_too_long_to_convolve_and_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sums = [3.0, -1.0, 2.0, 2.0, 0.0, 1.0] * 6
    exact = sign_flips(sums)
    monkeypatch.setattr(pairs, "_MOST_STEPS", 10)
    assert sign_flips(sums).p == pytest.approx(exact.p, abs=0.01)


def test_the_interval_of_graded_differences_is_students() -> None:
    differences = [0.5, 1.0, -0.25, 0.0, 0.75]
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.9)
    assert paired_interval(differences, (), 0.9) == pytest.approx((expected.low, expected.high))
    assert paired_interval([0.5, 0.5], (), 0.9) is None
    assert paired_interval([], (), 0.9) is None
