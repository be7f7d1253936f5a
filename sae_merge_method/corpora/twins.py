"""Surface twins: a document's own words, digits and signs in another order.

What a layer puts out for the twin too is vocabulary, not what the text says. Characters may be held in their
place: those of a template that does not count would else be shuffled among what does.
"""

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import numpy as np

from sae_merge_method.corpora.counting import Mask

_WORD = re.compile(r"\S+")
_ENDS = re.compile(r"[.!?][\"')\]]*$")
_OPERATORS = frozenset("+-*/=<>^\N{MULTIPLICATION SIGN}\N{DIVISION SIGN}\N{MINUS SIGN}\N{MIDDLE DOT}")


class Twin(NamedTuple):
    """A named way to take the sense out of a text and leave its surface: one row of the registry."""

    name: str
    description: str
    """What is done, for help texts and reports."""
    make: Callable[[str, Random, Mask], list[int]]
    """A text, a source of chance and which characters are held to the order of characters in its twin."""


class TwinText(NamedTuple):
    """A text's characters in a twin's order."""

    text: str
    held: Mask
    """Which of them were held."""


def shuffle_words(text: str, random: Random, held: Mask) -> list[int]:
    """Words shuffled within sentences; white space stays where it is, and so do words with a character held.

    A sentence ends with its full stop, question or exclamation mark, or with its line.
    """
    words = list(_WORD.finditer(text))
    order = list(range(len(words)))
    start = 0
    for nth, word in enumerate(words):
        last = nth + 1 == len(words)
        if last or _ENDS.search(word[0]) or "\n" in text[word.end() : words[nth + 1].start()]:
            free = [
                one for one in range(start, nth + 1) if not held[words[one].start() : words[one].end()].any()
            ]
            _shuffle(order, free, random)
            start = nth + 1
    return _reordered(len(text), [word.span() for word in words], order)


def permute_digits(text: str, random: Random, held: Mask) -> list[int]:
    """Digits permuted among the places of digits, operators among those of operators; held ones stay."""
    order = list(range(len(text)))
    for is_member in (str.isdigit, _OPERATORS.__contains__):
        places = [nth for nth, sign in enumerate(text) if is_member(sign) and not held[nth]]
        _shuffle(order, places, random)
    return order


def _shuffle(order: list[int], places: Sequence[int], random: Random) -> None:
    """Shuffle what stands at some places of an order among them."""
    moved = [order[place] for place in places]
    random.shuffle(moved)
    for place, one in zip(places, moved, strict=True):
        order[place] = one


def _reordered(length: int, spans: Sequence[tuple[int, int]], order: Sequence[int]) -> list[int]:
    """The order of characters once words stand in theirs."""
    characters: list[int] = []
    end = 0
    for (start, stop), word in zip(spans, order, strict=True):
        characters += (*range(end, start), *range(*spans[word]))
        end = stop
    return [*characters, *range(end, length)]


TWINS: dict[str, Twin] = {
    row.name: row
    for row in (
        Twin("words", "the target's documents with words shuffled within sentences", shuffle_words),
        Twin("digits", "the target's documents with digits and operators permuted", permute_digits),
    )
}
"""All twins by name: a row here is all that a new one takes."""


def twin_of(text: str, name: str, held: Mask | None = None) -> TwinText:
    """The twin of a text: always the same one.

    Args:
        text: Of one document.
        name: Of the twin.
        held: Which of its characters stay where they are; none unless given.
    """
    held = np.zeros(len(text), dtype=np.bool_) if held is None else held
    order = TWINS[name].make(text, Random(f"{name} {text}"), held)
    return TwinText("".join(text[nth] for nth in order), held[order])
