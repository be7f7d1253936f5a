import numpy as np
import pytest

from sae_merge_method.corpora.counting import OUTLIER_NORM, carries_text, counts_at_layer, norm_limit

BOS, TURN = 2, 4
SPECIAL = frozenset({0, 1, BOS, TURN})


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([BOS, 7, 8], [False, True, True]),
        ([7, 8, 9], [False, True, True]),  # nothing was put before the document
        ([7, TURN, 9], [False, False, True]),
        ([7], [False]),
        ([], []),
    ],
)
def test_special_tokens_and_the_first_position_carry_no_text(ids: list[int], text: list[bool]) -> None:
    assert carries_text(np.array(ids, dtype=np.int64), SPECIAL).tolist() == text


def test_tokens_above_the_bound_times_the_median_do_not_count_wherever_they_stand() -> None:
    ids = np.array([7, 8, 9, 10, 11], dtype=np.int64)
    norms = np.array([900.0, 500.0, 3.0, 15.0, 16.0])
    assert counts_at_layer(ids, SPECIAL, norms, median=3.0).tolist() == [False, False, True, True, False]
    assert counts_at_layer(ids, SPECIAL, norms, 3.0, bound=None).tolist() == [False] + 4 * [True]


def test_the_limit_grows_with_the_layers_own_median() -> None:
    norms = np.array([1.0, 2.0, 1.5, 3.0])
    ids = np.arange(7, 11)
    for growth in (1.0, 40.0, 1600.0):
        counted = counts_at_layer(ids, SPECIAL, growth * norms, float(np.median(growth * norms)))
        assert counted.tolist() == [False, True, True, True]
        assert norm_limit(growth) == OUTLIER_NORM * growth


def test_a_stream_that_is_nearly_everywhere_zero_has_no_limit() -> None:
    assert norm_limit(0.0) == norm_limit(5.0, None) == np.inf
