"""Ranks of sparse usage are those of the whole matrix."""

import numpy as np
import pytest
from scipy.stats import rankdata

from sae_merge_method.diagnose.midranks import midranks, sorted_use


@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
def test_ranks_of_what_is_used_are_scipys_ranks_of_the_whole_row(rate: float) -> None:
    random = np.random.default_rng(0)
    tied = random.integers(0, 6, (50, 40)) * (random.random((50, 40)) < rate)
    dense = np.ldexp(tied, -20).astype(np.float16)
    column, document = np.nonzero(dense)
    ranks = midranks(sorted_use(column, document, dense[column, document], dense.shape[1]), dense.shape)
    np.testing.assert_array_equal(ranks, rankdata(dense, axis=1))


def test_what_was_too_small_to_be_stored_ranks_with_what_is_not_used() -> None:
    use = sorted_use(np.zeros(2, int), np.array([0, 2]), np.array([0, 1], dtype=np.float16), 3)
    ranks = midranks(use, (1, 3))
    np.testing.assert_array_equal(ranks, [[1.5, 1.5, 3]])
