import numpy as np

from sae_merge_method.corpora.duplicates import alike, count_repeated, find_repeats, shingle_hashes
from sae_merge_method.corpora.tokens import Document


def text(*ids: int) -> Document:
    """A document between two tokens that do not count."""
    return Document(np.array([0, *ids, 1]), np.array([False, *(True for _ in ids), False]))


def words(seed: int, n: int = 100) -> list[int]:
    return np.random.default_rng(seed).integers(2, 1000, n).tolist()


def test_a_document_is_a_duplicate_of_the_first_with_the_same_counted_tokens() -> None:
    repeats = find_repeats([text(2, 3), text(4), text(2, 3), text(3, 2), text(2, 3)])
    assert repeats.exact.tolist() == [0, 1, 0, 3, 0]
    assert repeats.near.tolist() == [0, 1, 0, 3, 0]


def test_near_duplicates_are_told_from_texts_of_one_template() -> None:
    base = words(0)
    edited = [*base[:50], 7, *base[51:]]
    longer = [*base, *words(1, 10)]
    half = [*base[:50], *words(2, 50)]
    filled_in = [token if nth % 6 else 5 + nth for nth, token in enumerate(base)]
    repeats = find_repeats([text(*ids) for ids in (half, base, edited, longer, filled_in)])
    assert repeats.exact.tolist() == [0, 1, 2, 3, 4]
    assert repeats.near.tolist() == [0, 1, 1, 1, 4]


def test_many_near_copies_are_one_kind() -> None:
    base = words(0)
    copies = [text(*base[:nth], 7, *base[nth + 1 :]) for nth in range(100)]
    assert set(find_repeats(copies).near.tolist()) == {0}


def test_a_text_shorter_than_a_shingle_is_one() -> None:
    assert len(shingle_hashes(np.array([5]))) == len(shingle_hashes(np.array([5, 6, 7, 8, 9]))) == 1
    assert alike(shingle_hashes(np.arange(2, 12)), shingle_hashes(np.arange(2, 11))) == 5 / 6


def test_what_one_source_says_twice_is_no_repetition_of_another() -> None:
    says, sources = np.array([0, 0, 0, 3, 3, 5]), np.array([0, 0, 1, 2, 3, 3])
    assert count_repeated(says, sources) == 2
    assert count_repeated(says, np.arange(6)) == 3
    assert count_repeated(says, np.zeros(6, dtype=np.int64)) == 0
