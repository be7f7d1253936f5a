"""Permutation p-values, by hand."""

from sae_merge_method.statistics.permutation import upper_tail


def test_the_value_itself_is_one_of_the_draws_so_p_is_never_0() -> None:
    assert upper_tail(5, [1, 2, 3]) == (0, 3, 1 / 4)
    assert upper_tail(2, [1, 2, 3]) == (2, 3, 3 / 4)
    assert upper_tail(2, []) == (0, 0, 1.0)
    assert upper_tail(1, [float("inf"), float("-inf")]).at_least == 1


def test_a_draw_that_differs_by_rounding_alone_is_as_large() -> None:
    value = 0.1 + 0.2
    assert value > 0.3
    assert upper_tail(value, [0.3]).at_least == 1
    assert upper_tail(-0.3, [-value]).at_least == 1
    assert upper_tail(value, [0.299]).at_least == 0


def test_draws_that_differ_from_zero_by_rounding_alone_are_as_large() -> None:
    assert upper_tail(0.0, [-1e-18, 0.0, 1e-18]).p == 1
    assert upper_tail(0.0, [-1e-6] * 3).p == 0.25
