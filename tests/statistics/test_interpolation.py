"""Above a line between two measured points, or below: by hand, and against a bootstrap."""

import numpy as np
import pytest

from sae_merge_method.statistics.along_line import LEAST_T, AlongLine, share_apart, share_of_cost
from sae_merge_method.statistics.interpolation import (
    AboveLine,
    excess_over_each,
    excess_over_line,
    excess_over_near,
    excess_over_scores,
)


def test_the_share_is_a_ratio_of_sums():
    rng = np.random.default_rng(0)
    low, high = rng.normal(0, 1, 40), rng.normal(10, 1, 40)
    point = low + 0.3 * (high - low)
    share = share_of_cost(point.tolist(), low.tolist(), high.tolist())
    assert isinstance(share, AlongLine)
    assert share.value == pytest.approx(0.3) and share.stderr == pytest.approx(0, abs=1e-9) and share.df == 39


def test_a_cost_beyond_an_end_is_held_against_it_and_keeps_its_error():
    rng = np.random.default_rng(0)
    low, high = np.zeros(30), rng.normal(10, 1, 30)
    for scale, end in ((-0.2, 0.0), (1.4, 1.0)):
        point = scale * high + rng.normal(0, 1, 30)
        share = share_of_cost(point.tolist(), low.tolist(), high.tolist())
        assert isinstance(share, AlongLine) and share.value == end
        # of the share as it was before it was cut: Cochran's, of a ratio of sums over 30 documents
        left = point - point.sum() / high.sum() * high
        assert share.stderr == pytest.approx(np.sqrt(30 / 29 * (left**2).sum()) / high.sum())


def test_ends_whose_costs_are_not_told_apart_have_no_share_between_them():
    noise = np.random.default_rng(0).normal(0, 1, 50)
    for length, told in ((0.9 * LEAST_T, False), (1.1 * LEAST_T, True)):
        along = noise - noise.mean()
        along += length * along.std(ddof=1) / np.sqrt(50)
        share = share_of_cost((along / 2).tolist(), [0.0] * 50, along.tolist())
        assert isinstance(share, AlongLine) == told
    assert "27 documents" in str(share_of_cost([1.0] * 27, [0.0] * 27, [2.0] * 27))


def test_the_error_is_that_of_a_bootstrap_over_problems_and_documents_together():
    rng = np.random.default_rng(1)
    n, documents = 400, 300
    low_cost = rng.normal(0, 1, documents)
    high_cost, cost = low_cost + rng.normal(2, 2, documents), low_cost + rng.normal(0.8, 1.5, documents)
    ability = rng.normal(0, 1, n)
    low, point, high = (
        (ability + rng.normal(0, 0.7, n) + shift > 0).astype(float) for shift in (-0.5, 0.1, 0.9)
    )
    share = share_of_cost(cost.tolist(), low_cost.tolist(), high_cost.tolist())
    assert isinstance(share, AlongLine)
    found = excess_over_line(share, point.tolist(), low.tolist(), high.tolist())
    drawn = []
    for _ in range(2000):
        j, i = rng.integers(0, documents, documents), rng.integers(0, n, n)
        s = (cost[j] - low_cost[j]).sum() / (high_cost[j] - low_cost[j]).sum()
        drawn.append((point[i] - (1 - s) * low[i] - s * high[i]).mean())
    assert found.stderr == pytest.approx(np.std(drawn), rel=0.06)
    assert found.delta == pytest.approx(np.mean(drawn), abs=0.003)
    assert found.interval(0.95) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.006)


def test_a_point_on_the_line_lies_neither_above_nor_below():
    low, high = [0.0, 1.0] * 20, [1.0, 1.0] * 20
    found = excess_over_line(AlongLine(0.25, 0.1, 29), [0.25, 1.0] * 20, low, high)
    assert found.delta == pytest.approx(0) and found.p == pytest.approx(1)
    assert found.stderr == pytest.approx(0.1 * 0.5)  # of the share alone


def test_without_pairs_the_errors_of_all_three_scores_count():
    found = excess_over_scores(AlongLine(0.5, 0.0, 29), (0.6, 0.03), (0.4, 0.04), (0.6, 0.04), 100)
    assert found.delta == pytest.approx(0.1)
    assert found.stderr == pytest.approx((0.03**2 + 2 * 0.02**2) ** 0.5)
    assert "12 problems" in str(
        excess_over_scores(AlongLine(0.5, 0.1, 29), (1, 1), (1, 1), (1, 1), 12).reason
    )


def test_who_gains_more_than_every_other_is_held_against_the_nearest():
    rng = np.random.default_rng(2)
    ability = rng.normal(0, 1, 60)
    others = [(ability + shift + rng.normal(0, 0.3, 60)).tolist() for shift in (0.0, 0.6, 0.2)]
    nearest, excess = excess_over_each((ability + 1).tolist(), others)
    assert nearest == 1 and excess.delta == pytest.approx(1 - np.mean(np.array(others[1]) - ability))
    assert excess.p is not None and excess.p < 1e-6 and excess.share is None
    reach = excess.interval(0.95)
    assert reach is not None and reach.low < excess.delta < reach.high and reach.low > 0
    _, below = excess_over_each((ability + 0.5).tolist(), others)
    assert below.p is None and below.reason == "it does not lie above all of the others"
    assert below.delta is not None and below.delta < 0 and below.interval(0.95) is None
    _, few = excess_over_each([1.0] * 27, [[0.0] * 27])
    assert few.p is None and few.reason is not None and "27 problems" in few.reason
    _, alike = excess_over_each([1.0] * 30, [[0.0] * 30, rng.normal(0, 1, 30).tolist()])
    assert alike.p is None and alike.reason is not None and "zero variance" in alike.reason


def test_what_was_not_tested_has_a_reason_and_what_is_known():
    untold = AboveLine.untested("since")
    assert untold == AboveLine(None, None, None, None, None, "since") and untold.interval(0.95) is None
    share = AlongLine(0.5, 0.0, 29)
    few = excess_over_line(share, [1.0] * 12, [0.0] * 12, [1.0] * 12)
    assert (few.share, few.delta, few.p) == (0.5, 0.5, None) and "12 problems" in str(few.reason)
    alike = excess_over_line(share, [1.0] * 30, [0.0] * 30, [1.0] * 30)
    assert (alike.share, alike.delta, alike.p) == (0.5, 0.5, None) and "zero variance" in str(alike.reason)


def test_a_point_as_good_as_the_best_of_others_is_seldom_found_above_all_of_them():
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(400):
        ability = rng.normal(0, 1, 40)
        point, *others = (
            ability[None] + rng.normal(0, 0.5, (4, 40)) + np.array([[0], [0], [0], [-0.3]])
        ).tolist()
        _, excess = excess_over_each(point, others)
        found += excess.p is not None and excess.p < 0.05
    assert found <= 0.05 * 400


def drawn(seed: int = 3, problems: int = 50) -> tuple[list[list[float]], list[list[float]]]:
    """Costs of 60 documents and gains of problems, under an edit, a point near it, and two others."""
    rng = np.random.default_rng(seed)
    frailty, ease = rng.exponential(1, 60), rng.exponential(1, problems)
    costs = [w**2 * frailty + 0.01 * rng.normal(size=60) for w in (0.5, 0.45, 0.3, 0.8)]
    gains = [w * ease + 0.1 * rng.normal(size=problems) for w in (0.6, 0.45, 0.3, 0.8)]
    return [one.tolist() for one in costs], [one.tolist() for one in gains]


def test_through_one_of_its_ends_the_line_is_the_one_between_both():
    (cost, _, low, high), (gain, _, start, end) = drawn()
    apart, along = share_apart(cost, low, low, high), share_of_cost(cost, low, high)
    assert isinstance(apart, AlongLine) and apart == along
    through, between = (
        excess_over_near(apart, gain, start, start, end),
        excess_over_line(apart, gain, start, end),
    )
    assert through[:5] == pytest.approx(between[:5])


def test_through_a_near_point_the_error_is_that_of_a_bootstrap_over_problems_and_documents():
    costs, gains = drawn()
    apart = share_apart(*costs)
    assert isinstance(apart, AlongLine) and 0 < apart.value < 0.2
    excess = excess_over_near(apart, *gains)
    rng, drawn_costs, drawn_gains = np.random.default_rng(0), np.array(costs), np.array(gains)
    deltas = []
    for _ in range(4000):
        p, n, a, b = drawn_costs[:, rng.integers(60, size=60)].sum(1)
        g, h, c, d = drawn_gains[:, rng.integers(50, size=50)].mean(1)
        deltas.append(g - h - (p - n) / (b - a) * (d - c))
    assert excess.delta == pytest.approx(np.mean(deltas), abs=0.005)
    assert excess.stderr == pytest.approx(np.std(deltas), rel=0.1)
    # By hand: between .45 and .5 the curve gains a little less than .05 times the mean ease.
    assert 0.08 < excess.delta / np.mean(drawn_gains[3]) * 0.8 < 0.12


def test_a_point_that_costs_less_than_the_near_one_lies_before_it():
    costs, gains = drawn()
    back = share_apart(costs[1], costs[0], *costs[2:])
    assert isinstance(back, AlongLine) and back.value < 0
    few = excess_over_near(back, *(gain[:20] for gain in gains))
    assert few.p is None and few.reason == "20 problems: nothing is tested with fewer than 28"
