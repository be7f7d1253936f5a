"""How numbers are rounded for reading."""

import pytest

from sae_merge_method.reports import numbers


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (numbers.score(160 / 540, True), "29.6%"),
        (numbers.score(0.8512, False), "0.8512"),
        (numbers.score(1.2345678, False), "1.235"),
        (numbers.change(53 / 540, True), "+9.8"),
        (numbers.change(-0.00123456, False), "-0.001235"),
        (numbers.amount(53 / 540, True), "+9.8 points"),
        (numbers.amount(0.25, False), "+0.25"),
        (numbers.interval(-0.01, 0.2, True), "-1.0 to +20.0"),
        (numbers.interval(-0.01, 0.2, False), "-0.01 to +0.2"),
        (numbers.score_interval(0.25912, 0.33596, True), "25.9 to 33.6"),
        (numbers.score_interval(0.25912, 1.33596, False), "0.2591 to 1.336"),
        (numbers.signed(3.407), "+3.41"),
        (numbers.signed(-0.004), "-0.00"),
        (numbers.p_value(0.00066), "0.0007"),
        (numbers.p_value(0.00005), "0.0001"),
        (numbers.p_value(0.0000499), "<0.0001"),
        (numbers.test_words(3.407, 0.00001), "z +3.41, p <0.0001"),
        (numbers.nats(0.0000249), "+0.00002"),
        (numbers.magnitude(float("inf")), "inf"),
        (numbers.magnitude(1234.5), "1.23e+03"),
        (numbers.percent(0.02601), "2.60%"),
        (numbers.decimal(2 / 3), "0.6667"),
        (numbers.decimal(2 / 3, 1), "0.7"),
        (numbers.squared_norm(0.2679), "0.268"),
        (numbers.squared_norm(29.8), "29.8"),
        (numbers.squared_norm(0), "0"),
        (numbers.energy(29.7981234), "29.7981"),
        (numbers.count(1234567), "1,234,567"),
        (numbers.byte_size(0), "0 B"),
        (numbers.byte_size(999), "999 B"),
        (numbers.byte_size(1000), "1 kB"),
        (numbers.byte_size(8_600_000_000), "8.6 GB"),
        (numbers.byte_size(10**16), "1e+04 TB"),
    ],
)
def test_a_number_is_rounded_as_this_kind_of_number_is(call, text):
    assert call == text


@pytest.mark.parametrize(
    "nothing",
    [
        numbers.score(None, True), numbers.score(None, False), numbers.change(None, True),
        numbers.change(None, False), numbers.signed(None), numbers.p_value(None), numbers.percent(None),
        numbers.decimal(None),
    ],
)  # fmt: skip
def test_no_number_is_no_text(nothing):
    assert nothing == ""


@pytest.mark.parametrize(
    ("scores", "shares"), [((0, 1, 0.5), True), ((0.5, 1.0001), False), ((-0.0001,), False), ((), True)]
)
def test_scores_are_shares_if_all_lie_between_0_and_1(scores, shares):
    assert numbers.are_shares(scores) is shares
