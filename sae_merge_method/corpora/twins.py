"""Surface twins: a document's own words, digits and signs in another order.

What a layer puts out for the twin too is vocabulary, not what the text says.
"""

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

_WORD = re.compile(r"\S+")
_ENDS = re.compile(r"[.!?][\"')\]]*$")
_OPERATORS = frozenset("+-*/=<>^\N{MULTIPLICATION SIGN}\N{DIVISION SIGN}\N{MINUS SIGN}\N{MIDDLE DOT}")


class Twin(NamedTuple):
    """A named way to take the sense out of a text and leave its surface: one row of the registry."""

    name: str
    description: str
    """What is done, for help texts and reports."""
    make: Callable[[str, Random], str]
    """A text and a source of chance to its twin."""


def shuffle_words(text: str, random: Random) -> str:
    """Words shuffled within sentences; white space stays where it is.

    A sentence ends with its full stop, question or exclamation mark, or with its line.
    """
    words = list(_WORD.finditer(text))
    order = list(range(len(words)))
    start = 0
    for nth, word in enumerate(words):
        last = nth + 1 == len(words)
        if last or _ENDS.search(word[0]) or "\n" in text[word.end() : words[nth + 1].start()]:
            sentence = order[start : nth + 1]
            random.shuffle(sentence)
            order[start : nth + 1] = sentence
            start = nth + 1
    return _replaced(text, [word.span() for word in words], [words[nth][0] for nth in order])


def permute_digits(text: str, random: Random) -> str:
    """Digits permuted among the places of digits, operators among those of operators."""
    signs = list(text)
    for is_member in (str.isdigit, _OPERATORS.__contains__):
        places = [nth for nth, sign in enumerate(text) if is_member(sign)]
        members = [text[nth] for nth in places]
        random.shuffle(members)
        for nth, sign in zip(places, members, strict=True):
            signs[nth] = sign
    return "".join(signs)


def _replaced(text: str, spans: Sequence[tuple[int, int]], words: Sequence[str]) -> str:
    parts, end = [], 0
    for (start, stop), word in zip(spans, words, strict=True):
        parts += [text[end:start], word]
        end = stop
    return "".join((*parts, text[end:]))


TWINS: dict[str, Twin] = {
    row.name: row
    for row in (
        Twin("words", "the target's documents with words shuffled within sentences", shuffle_words),
        Twin("digits", "the target's documents with digits and operators permuted", permute_digits),
    )
}
"""All twins by name: a row here is all that a new one takes."""


def twins_of(texts: Sequence[str], name: str) -> tuple[str, ...]:
    """The twin of each text: the same one whatever else is there."""
    return tuple(TWINS[name].make(text, Random(f"{name} {text}")) for text in texts)
