"""A cost beside a curve's at equal gain: planted ratios, against a bootstrap, and what is refused."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import t

from sae_merge_method.statistics.along_line import AlongLine, share_of_gain
from sae_merge_method.statistics.equal_gain import CostRatio, Point, cost_at_equal_gain

DOCUMENTS, PROBLEMS = 200, 150


def curve(weights: tuple[float, ...], noise: float = 0.0) -> list[Point]:
    """Gains that grow as the weight does, costs as its square; each problem and document to its own degree."""
    rng = np.random.default_rng(0)
    ease, frailty = rng.exponential(1, PROBLEMS), rng.exponential(1, DOCUMENTS)
    return [
        Point(
            (weight * ease + noise * rng.normal(size=PROBLEMS)).tolist(),
            (weight**2 * frailty + noise * rng.normal(size=DOCUMENTS)).tolist(),
        )
        for weight in weights
    ]


def test_a_planted_ratio_is_found_between_two_points_of_the_curve():
    low, high = curve((0.5, 0.6))
    gains = [0.7 * a + 0.3 * b for a, b in zip(low.gains, high.gains, strict=True)]
    costs = [0.25 * (0.7 * a + 0.3 * b) for a, b in zip(low.costs, high.costs, strict=True)]
    found = cost_at_equal_gain(Point(gains, costs), [low, high], 0.95)
    assert found.value == pytest.approx(0.25) and found.share == pytest.approx(0.3)
    assert (found.low, found.high) == (0, 1)


def test_neighbours_a_quarter_apart_on_a_bending_curve_make_the_ratio_one_per_cent_too_small():
    (true,) = curve((0.56,))
    found = cost_at_equal_gain(true, curve((0.5, 0.625)), 0.95)
    assert found.value is not None and 0.985 < found.value < 1.0


def test_both_intervals_are_those_of_a_bootstrap_over_problems_and_documents_together():
    *points, true = curve((0.4, 0.5, 0.625, 0.55), noise=0.15)
    rng, gains = np.random.default_rng(1), np.array(true.gains)
    costs = 0.6 * np.array(points[1].costs) + rng.normal(0, 0.1, DOCUMENTS)
    found = cost_at_equal_gain(Point(gains.tolist(), costs.tolist()), points, 0.95)
    assert found.interval is not None and found.reach is not None and found.low == 1
    low, high = points[1:]
    drawn, beside = [], []
    for _ in range(2000):
        i, j = rng.integers(0, PROBLEMS, PROBLEMS), rng.integers(0, DOCUMENTS, DOCUMENTS)
        start, end = np.array(low.gains)[i].sum(), np.array(high.gains)[i].sum()
        s = (gains[i].sum() - start) / (end - start)
        of_curve = (1 - s) * np.array(low.costs)[j].sum() + s * np.array(high.costs)[j].sum()
        drawn.append(costs[j].sum() / of_curve)
        beside.append(costs[j].sum() - of_curve)
    assert found.interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)
    assert found.reach == pytest.approx(np.quantile(beside, [0.025, 0.975]), rel=0.04)


@pytest.mark.parametrize(("seed", "ratio"), [(0, 0.5), (4, 0.8), (2, 1.1), (3, -0.3)])
def test_difference_p_and_ratio_are_those_of_the_definition_on_few_problems_and_documents(seed, ratio):
    rng = np.random.default_rng(seed)
    ease, frailty = rng.exponential(1, 30), rng.exponential(1, 29)

    def edit(weight: float, harm: float) -> Point:
        gains = weight * ease + rng.normal(0, 0.02, 30)
        return Point(gains.tolist(), (harm * frailty + rng.normal(0, 0.1, 29)).tolist())

    start, end, point = edit(0.5, 0.8), edit(0.6, 1.2), edit(0.55, ratio)
    found = cost_at_equal_gain(point, [start, end], 0.9)
    share = share_of_gain(point.gains, start.gains, end.gains)
    assert isinstance(share, AlongLine)
    low, high, own = (np.array(one.costs) for one in (start, end, point))
    curve_s = (1 - share.value) * low + share.value * high
    rise = (high - low).sum()

    def spread(r: float) -> tuple[float, float]:
        """Variance of sum(own - r curve), and its degrees of freedom."""
        documents, problems = 29 * np.var(own - r * curve_s, ddof=1), (r * rise * share.stderr) ** 2
        total = documents + problems
        return total, total**2 / (documents**2 / 28 + problems**2 / share.df)

    variance, df = spread(1.0)
    less = (own - curve_s).sum()
    error = np.sqrt(variance)
    assert found.difference == pytest.approx(less) and found.p == pytest.approx(
        2 * t.sf(abs(less) / error, df)
    )
    assert found.reach == pytest.approx((less - t.ppf(0.95, df) * error, less + t.ppf(0.95, df) * error))
    value = own.sum() / curve_s.sum()
    quantile = t.ppf(0.95, spread(value)[1])

    def beyond(r: float) -> float:
        return (own - r * curve_s).sum() ** 2 - quantile**2 * spread(r)[0]

    assert found.value == pytest.approx(value) and found.reason is None
    assert found.interval == pytest.approx((brentq(beyond, -20, value), brentq(beyond, value, 20)))


def test_p_and_interval_say_the_same_of_a_ratio_of_one():
    points = curve((0.5, 0.6), noise=0.2)
    rng = np.random.default_rng(2)
    for ratio in (0.8, 0.9, 0.95, 1.0, 1.1):
        costs = [ratio * one + rng.normal(0, 0.6) for one in points[0].costs]
        found = cost_at_equal_gain(Point(points[0].gains, costs), points, 0.95)
        assert found.p is not None and found.interval is not None
        assert (found.p < 0.05) == (not found.interval.low <= 1 <= found.interval.high)


def test_a_stretch_is_widened_until_its_ends_gains_are_told_apart():
    low, near, far = curve((0.5, 0.5001, 0.8), noise=0.2)
    gains = sorted([low.gains, near.gains], key=sum)
    between = [(one + other) / 2 for one, other in zip(*gains, strict=True)]
    points = [Point(gains[0], low.costs), Point(gains[1], near.costs), far]
    assert cost_at_equal_gain(Point(between, low.costs), points[:2], 0.95).reason is not None
    found = cost_at_equal_gain(Point(between, low.costs), points, 0.95)
    assert (found.low, found.high) == (0, 2) and found.p is not None
    first, *_ = curve((0.3,))
    found = cost_at_equal_gain(Point(between, low.costs), [first, *points[:2]], 0.95)
    assert (found.low, found.high) == (0, 2) and found.p is not None
    found = cost_at_equal_gain(Point(between, low.costs), [first, first, *points], 0.95)
    assert (found.low, found.high) == (2, 4), "as little as need be, upwards first"


@pytest.mark.parametrize(
    ("gained", "costs", "reason"),
    [
        ((0.2, 0.3), (1.0, 1.0), "does not gain as much anywhere"),
        ((0.6, 0.7), (1.0, 1.0), "less than the first point"),
        ((0.4, 0.6, 0.45, 0.8), (1.0,) * 4, "in more than one place"),
        ((0.4, 0.6), (2.0, 0.5), "nothing to trade"),
        ((0.4, 0.6), (-1.0, -1.0), "nothing to trade"),
    ],
)
def test_what_the_curve_cannot_tell_is_said(gained, costs, reason):
    point, bent = curve((0.5,), noise=0.1)[0], []
    for gain, cost in zip(gained, costs, strict=True):
        (one,) = curve((gain,), noise=0.1)
        costs_of = one.costs if cost else (np.cos(np.arange(DOCUMENTS)) + gain / 1e3).tolist()
        bent.append(Point(one.gains, [(cost or 1.0) * value for value in costs_of]))
    found = cost_at_equal_gain(point, bent, 0.95)
    assert found.reason is not None and reason in found.reason
    assert found.value is None and found.interval is None and found.p is None and found.difference is None


def test_beside_a_curve_that_costs_nothing_to_speak_of_the_difference_is_told_without_a_ratio():
    low, high = (
        Point(one.gains, [cost + 0.05 * weight for cost in np.random.default_rng(3).normal(0, 1, DOCUMENTS)])
        for one, weight in zip(curve((0.5, 0.6)), (0.5, 0.6), strict=True)
    )
    rng = np.random.default_rng(4)
    for saved, level in ((0.3, 0.95), (0.3, 0.8), (0.0, 0.95)):
        costs = [one - saved + rng.normal(0, 0.2) for one in low.costs]
        found = cost_at_equal_gain(Point(low.gains, costs), [low, high], level)
        assert found.value is None and found.interval is None and "not told from none" in str(found.reason)
        assert found.difference == pytest.approx(sum(costs) - sum(low.costs))
        assert found.p is not None and found.reach is not None
        assert (found.p < 1 - level) == (not found.reach.low <= 0 <= found.reach.high) == (saved > 0)


def test_few_items_and_no_gain_are_said_and_a_document_alike_in_all_has_a_ratio_without_a_test():
    low, high = curve((0.5, 0.6))

    def found(gains: list[float], costs: list[float]) -> CostRatio:
        n, m = len(gains), len(costs)
        return cost_at_equal_gain(
            Point(gains, costs), [Point(one.gains[:n], one.costs[:m]) for one in (low, high)], 0.95
        )

    assert "27 documents" in str(found(low.gains, low.costs[:27]).reason)
    assert "20 problems" in str(found(low.gains[:20], low.costs).reason)
    assert "gains nothing itself" in str(found([0.0] * PROBLEMS, low.costs).reason)
    same = found(low.gains, low.costs)
    assert same.value == pytest.approx(1) and same.p is None and "zero variance" in str(same.reason)
