import numpy as np
import pytest

from sae_merge_method.corpora.twins import TWINS, twin_of

TEXT = "One two three four. Five six seven?\n  eight nine\tten eleven"


def test_words_stay_in_their_sentence_and_white_space_in_its_place() -> None:
    twin = twin_of(TEXT, "words").text
    assert twin != TEXT
    before, after = TEXT.split(), twin.split()
    for sentence in (slice(4), slice(4, 7), slice(7, 11)):
        assert sorted(before[sentence]) == sorted(after[sentence])
    assert twin.index("\n  ") > 0
    assert "\t" in twin
    assert twin_of("", "words").text == ""


def test_digits_and_operators_change_places_among_themselves() -> None:
    text = "12 + 34 = 46, so 46 - 12 = 34"
    twin = twin_of(text, "digits").text
    assert twin != text
    for before, after in zip(text, twin, strict=True):
        assert before.isdigit() == after.isdigit()
        assert (before in "+-=") == (after in "+-=")
        assert before == after or before.isdigit() or before in "+-="
    assert sorted(twin) == sorted(text)
    assert twin_of("no number", "digits").text == "no number"


@pytest.mark.parametrize("name", TWINS)
def test_a_text_has_one_twin_of_its_own_characters(name: str) -> None:
    text = f"{TEXT} 1 + 23"
    twin = twin_of(text, name)
    assert twin.text != text
    assert sorted(twin.text) == sorted(text)
    assert twin_of(text, name).text == twin.text
    assert not twin.held.any()


@pytest.mark.parametrize("name", TWINS)
def test_what_is_held_stays_between_what_is_shuffled(name: str) -> None:
    text = "Solve 1 + 2 now: 345 pears - 67 figs = 89 plums"
    held = np.array([*"xxxxxxxxxxxxxxxx                xxxx           "]) == "x"
    twin = twin_of(text, name, held)
    assert twin.text != text
    assert sorted(twin.text) == sorted(text)
    assert twin.text.startswith("Solve 1 + 2 now: ")
    assert twin.text.split().index("figs") == text.split().index("figs")
    assert "".join(np.array([*twin.text])[twin.held]) == "Solve 1 + 2 now:figs"


def test_a_word_of_which_a_character_is_held_stays_whole() -> None:
    held = np.array([*"a, b, c, d, e, f,"]) == ","
    assert twin_of("a, b, c, d, e, f,", "words", held).text == "a, b, c, d, e, f,"
