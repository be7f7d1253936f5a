"""Ranks of sparse usage are those of the whole matrix."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import rankdata

from sae_merge_method.diagnose import midranks as ranking
from sae_merge_method.diagnose.midranks import Use, midranks


def used(dense: npt.NDArray[np.float16]) -> Use:
    """What there is of (a, N)."""
    column, document = np.nonzero(dense)
    starts = np.searchsorted(column, np.arange(len(dense) + 1))
    return Use(starts, document, dense[column, document], dense.shape[1])


def tied_usage(rate: float) -> npt.NDArray[np.float16]:
    """(100, 40) of six values."""
    random = np.random.default_rng(0)
    tied = random.integers(0, 6, (100, 40)) * (random.random((100, 40)) < rate)
    return np.ldexp(tied, -20).astype(np.float16)


RATES = pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])


@RATES
def test_ranks_of_what_is_used_are_scipys_ranks_of_the_whole_row(rate: float) -> None:
    dense = tied_usage(rate)
    (ranks,) = midranks(used(dense), [np.arange(40)])
    np.testing.assert_array_equal(ranks, rankdata(dense, axis=1))


@RATES
def test_documents_are_ranked_among_those_of_their_part_alone_and_the_others_not_at_all(rate: float) -> None:
    dense = tied_usage(rate)
    mixed = np.random.default_rng(1).permutation(40)
    parts = [mixed[:11], mixed[11:12], mixed[12:30]]
    for ranks, part in zip(midranks(used(dense), parts, np.float32), parts, strict=True):
        assert ranks.dtype == np.float32
        np.testing.assert_array_equal(ranks, rankdata(dense[:, part], axis=1))


@pytest.mark.parametrize("entries", [1, 30, 700])
def test_ranks_do_not_depend_on_how_many_features_are_sorted_at_once(
    entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = tied_usage(0.4)
    dense[[0, 50, 99]] = 0  # used by no document
    monkeypatch.setattr(ranking, "AT_ONCE", entries)
    (ranks,) = midranks(used(dense), [np.arange(40)])
    np.testing.assert_array_equal(ranks, rankdata(dense, axis=1))


def test_what_was_too_small_to_be_stored_ranks_with_what_is_not_used() -> None:
    use = Use(np.array([0, 2]), np.array([0, 2]), np.array([0, 1], dtype=np.float16), 3)
    (ranks,) = midranks(use, [np.arange(3)])
    np.testing.assert_array_equal(ranks, [[1.5, 1.5, 3]])
