import numpy as np
import pytest

from sae_merge_method.corpora.counting import carries_text, norm_limit

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


def test_a_stream_that_is_nearly_everywhere_zero_has_no_limit() -> None:
    assert norm_limit(0.0) == norm_limit(5.0, None) == np.inf
