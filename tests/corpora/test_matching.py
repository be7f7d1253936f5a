import numpy as np
import pytest

from sae_merge_method.corpora.matching import Side, length_gap, match_sides, number_sources
from sae_merge_method.corpora.tokens import Document


def document(length: int, position: int = 0) -> Document:
    """``length`` counted tokens behind a beginning, with one in the middle that does not count."""
    counted = np.array([False, *(True for _ in range(length))])
    counted = np.insert(counted, 1 + length // 2, False)
    return Document(np.arange(len(counted)), counted, position)


def side(lengths: list[int], sources: list[int] | None = None) -> Side:
    numbers = np.arange(len(lengths)) if sources is None else np.array(sources)
    return Side(tuple(document(length, nth) for nth, length in enumerate(lengths)), numbers)


def test_every_side_keeps_as_many_documents_with_the_same_lengths() -> None:
    few, many = side([30] * 20), side(list(range(100, 180)))
    short, long = match_sides([few, many])
    assert all(new.ids is old.ids for new, old in zip(short.documents, few.documents, strict=True))
    assert long.lengths.tolist() == [30] * 20
    # From all over the lengths, in file order.
    kept = [document.position for document in long.documents]
    assert kept == sorted(kept) == list(range(2, 80, 4))
    assert length_gap(short.lengths, long.lengths) == 0


def test_lengths_are_matched_quantile_by_quantile_and_the_first_tokens_stay() -> None:
    one, other = match_sides([side([9, 2, 5]), side([3, 4, 4])])
    assert one.lengths.tolist() == [4, 2, 4]
    assert other.lengths.tolist() == [2, 4, 4]
    whole = document(9)
    np.testing.assert_array_equal(one.documents[0].ids, whole.ids[: len(one.documents[0].ids)])


def test_sides_that_match_stay_as_they_are_to_the_last_token() -> None:
    same = side([4, 7]), side([7, 4])
    for before, after in zip(same, match_sides(same), strict=True):
        for old, new in zip(before.documents, after.documents, strict=True):
            assert old.ids is new.ids


def test_sources_are_matched_in_number_and_size_before_documents() -> None:
    books = side([10] * 12, [nth // 4 for nth in range(12)])
    pages = side([10] * 10, [0, 0, 0, 1, 1, 2, 3, 4, 5, 6])
    matched = match_sides([books, pages])
    sizes = [sorted(np.bincount(one.sources).tolist()) for one in matched]
    assert sizes[0] == sizes[1] == [1, 1, 2]
    assert [len(one.documents) for one in matched] == [4, 4]


def test_three_sides_keep_what_all_of_them_have() -> None:
    matched = match_sides([side([5] * 4), side([9] * 3), side([7, 2, 7, 7, 7])])
    assert {tuple(sorted(one.lengths.tolist())) for one in matched} == {(2, 5, 5)}


def test_sources_are_numbered_as_they_come_and_none_is_shared() -> None:
    taken = [document(3, position) for position in (0, 1, 3, 4, 5)]
    names = ["b", None, "lost", "a", "b", None]
    assert number_sources(taken, names).tolist() == [0, 1, 2, 0, 3]
    assert number_sources(taken, None).tolist() == [0, 1, 2, 3, 4]


def test_a_gap_of_lengths_sees_the_spread_too() -> None:
    even, spread = np.full(10, 100), np.array([10, 190] * 5)
    assert length_gap(even, even) == 0
    assert length_gap(even, spread) == pytest.approx(0.9)
    assert length_gap(np.full(5, 30), np.full(9, 500)) == pytest.approx(470 / 265)
