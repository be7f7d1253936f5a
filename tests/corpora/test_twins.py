from random import Random

import pytest

from sae_merge_method.corpora.twins import TWINS, permute_digits, shuffle_words, twins_of

TEXT = "One two three four. Five six seven?\n  eight nine\tten eleven"


def test_words_stay_in_their_sentence_and_white_space_in_its_place() -> None:
    twin = shuffle_words(TEXT, Random(0))
    assert twin != TEXT
    before, after = TEXT.split(), twin.split()
    for sentence in (slice(4), slice(4, 7), slice(7, 11)):
        assert sorted(before[sentence]) == sorted(after[sentence])
    assert twin.index("\n  ") > 0
    assert "\t" in twin
    assert shuffle_words("", Random(0)) == ""


def test_digits_and_operators_change_places_among_themselves() -> None:
    text = "12 + 34 = 46, so 46 - 12 = 34"
    twin = permute_digits(text, Random(1))
    assert twin != text
    for before, after in zip(text, twin, strict=True):
        assert before.isdigit() == after.isdigit()
        assert (before in "+-=") == (after in "+-=")
        assert before == after or before.isdigit() or before in "+-="
    assert sorted(twin) == sorted(text)
    assert permute_digits("no number", Random(0)) == "no number"


@pytest.mark.parametrize("name", TWINS)
def test_a_text_has_one_twin_whatever_stands_beside_it(name: str) -> None:
    assert twins_of([TEXT, "b"], name)[0] == twins_of(["a 1 + 2", TEXT], name)[1]
