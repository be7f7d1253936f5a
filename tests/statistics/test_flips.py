"""Right and wrong answers that flip: Tango's score and interval, and what McNemar's test would have found."""

import math

import pytest
from scipy import optimize, stats

from sae_merge_method.statistics.differences import mcnemar
from sae_merge_method.statistics.flips import detectable_by_flips, tango_interval, tango_z


@pytest.mark.parametrize("difference", [-0.3, -0.02, 0.0, 0.05, 0.6])
@pytest.mark.parametrize(("right", "wrong", "n"), [(0, 0, 50), (3, 0, 40), (12, 2, 60), (40, 60, 540)])
def test_tangos_score_is_that_of_the_likeliest_shares(
    right: int, wrong: int, n: int, difference: float
) -> None:
    def unlikely(q: float) -> float:  # of newly wrong problems, newly right ones being q + difference
        shares = (q + difference, q, 1 - 2 * q - difference)
        counts = (right, wrong, n - right - wrong)
        return -sum(k * math.log(max(p, 1e-300)) for k, p in zip(counts, shares, strict=True) if k)

    low, high = max(0.0, -difference), (1 - difference) / 2
    q = optimize.minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    variance = n * (2 * q + difference - difference**2)
    if variance > 1e-4:
        expected = (right - wrong - n * difference) / math.sqrt(variance)
        assert tango_z(right, wrong, n, difference) == pytest.approx(expected, abs=2e-4)
    assert tango_z(right, wrong, n, difference) == -tango_z(wrong, right, n, -difference)


def test_tangos_interval_is_sound_where_nothing_flips() -> None:
    # Without flips the score is n D / sqrt(n D (1 - D)) against z: D = z^2 / (n + z^2), as Wilson's bound.
    z = 1.959963984540054
    assert tango_interval(0, 0, 50, 0.95) == pytest.approx((-(z**2) / (50 + z**2), z**2 / (50 + z**2)))
    # Tango (1998), table of examples: n = 50, 12 and 2 flips of the crossover kind lie above 0.
    low, high = tango_interval(12, 2, 50, 0.95)
    assert tango_z(12, 2, 50, low) == pytest.approx(z, abs=1e-6)
    assert tango_z(12, 2, 50, high) == pytest.approx(-z, abs=1e-6)
    assert tango_z(12, 2, 50, 0) == pytest.approx(10 / math.sqrt(14))  # McNemar's


def found(size: float, right: int, wrong: int, n: int, alpha: float) -> float:
    """The chance that McNemar's test finds a true difference, by all flips there may be."""
    even = 2 * math.sqrt((right + 0.5) * (wrong + 0.5)) / n
    share = math.hypot(even, size)
    newly_right, newly_wrong = (share + size) / 2, (share - size) / 2
    assert 4 * newly_right * newly_wrong == pytest.approx(even**2)
    flips, up = stats.binom(n, share), newly_right / share
    return math.fsum(
        flips.pmf(count) * stats.binom(count, up).pmf(right)
        for count in range(n + 1)
        for right in range(count // 2 + 1, count + 1)
        if (mcnemar(right, count - right).p or 1) < alpha
    )


@pytest.mark.parametrize(
    ("right", "wrong", "n", "alpha", "power"),
    [(12, 2, 60, 0.05, 0.8), (5, 5, 60, 0.01, 0.9), (0, 0, 30, 0.05, 0.8), (3, 0, 20, 0.0625, 0.5)],
)
def test_the_detectable_difference_is_found_with_its_power_exactly(
    right: int, wrong: int, n: int, alpha: float, power: float
) -> None:
    size = detectable_by_flips(right, wrong, n, alpha, power)
    assert size is not None
    assert found(size, right, wrong, n, alpha) == pytest.approx(power, abs=1e-6)


def test_a_loss_is_detectable_where_a_gain_is() -> None:
    assert detectable_by_flips(12, 2, 60, 0.05, 0.8) == detectable_by_flips(2, 12, 60, 0.05, 0.8)


def test_less_is_detectable_among_fewer_flips_more_problems_and_at_laxer_levels() -> None:
    def size(right: int = 30, n: int = 540, alpha: float = 0.05, power: float = 0.8) -> float:
        return detectable_by_flips(right, 30, n, alpha, power) or math.inf

    assert size(right=10) < size() < size(right=60)
    assert size(n=5000) < size() < size(n=200)
    assert size(alpha=0.1) < size() < size(alpha=0.005)
    assert size(power=0.5) < size() < size(power=0.95)


def test_what_is_detectable_among_many_flips_is_the_normal_approximation() -> None:
    # Connett, Smith & McHugh (1987): D sqrt n = z_alpha sqrt(flips) + z_power sqrt(flips - D^2), as shares.
    size = detectable_by_flips(4000, 4000, 50_000, 0.05, 0.8)
    assert size is not None
    flips = math.hypot(8001 / 50_000, size)
    reach = 1.959964 * math.sqrt(flips) + 0.841621 * math.sqrt(flips - size**2)
    assert size * math.sqrt(50_000) == pytest.approx(reach, rel=0.01)


def test_nothing_is_detectable_where_too_few_problems_can_flip_or_all_do() -> None:
    # Of five flips all one way p is 1/16.
    assert detectable_by_flips(0, 0, 5, 0.05, 0.8) is None
    assert (detectable_by_flips(0, 0, 6, 0.05, 0.8) or 0) > 0.95
    assert detectable_by_flips(20, 20, 40, 0.05, 0.8) is None
    # Nineteen problems of twenty flip either way already: half of what may still come does not make eighty.
    assert detectable_by_flips(10, 9, 20, 0.05, 0.8) is None
