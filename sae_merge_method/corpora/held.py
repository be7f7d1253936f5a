"""Characters that a surface twin leaves in their place, and the tokens of it that stand on them.

What is masked for where it stands in a corpus, a template, is no longer known as such once words are
shuffled: the twin would count it in place of the text. So it stays where it is, and no token on it counts.
"""

import numpy as np

from sae_merge_method.corpora.counting import Mask
from sae_merge_method.corpora.token_classes import TOKEN_CLASSES, class_bits
from sae_merge_method.corpora.tokens import Document, Spans


def held_bits(masked: tuple[str, ...]) -> int:
    """The bits of those masked classes that the text of a token does not decide alone; 0 for none."""
    return class_bits([name for name in masked if not TOKEN_CLASSES[name].by_text])


def held_characters(document: Document, length: int, bits: int) -> Mask:
    """(length,) which characters of its text a twin leaves in their place.

    They are those of the classes; those behind the last token that the model reads, of which nobody knows
    the class; and the document's own token at the model's first position, which does not count for where it
    stands either.

    Args:
        document: With the classes and spans of its tokens, before any is cropped to match other sides.
        length: Characters of its text.
        bits: Of the classes.
    """
    of_class = (document.classes & bits) > 0
    of_class[:1] |= document.own_first
    spans = document.spans.clip(0, length)
    held = np.zeros(length, dtype=np.bool_)
    for start, stop in _places(spans)[of_class]:
        held[start:stop] = True
    held[spans[of_class | document.counted].max() :] = True
    return held


def put_on_held(document: Document, text: str, held: Mask, bits: int) -> Document:
    """A twin's document whose tokens are of the classes where they stand on a character held, and only there.

    White space stays where it is in a twin, and what follows it may be another word that brings it along, or
    none: so a token stands on its other characters, where it has any.

    Args:
        document: With the classes and spans of its tokens.
        text: The twin's.
        held: (n,) which of its characters are held.
        bits: Of the classes.
    """
    places = _places(document.spans.clip(0, len(text)))
    # A token that stands for no character, such as the space that some put in front, is of what follows.
    places[:, 1] = np.maximum(places[:, 1], places[:, 0] + 1).clip(0, len(text))
    solid = np.array([not one.isspace() for one in text], dtype=np.bool_)
    stands = np.where(_any(solid, places), _any(held & solid, places), _any(held, places))
    classes = document.classes & np.uint32(~bits & 0xFFFFFFFF)
    classes[stands] |= np.uint32(bits)
    return document._replace(classes=classes)


def _places(spans: Spans) -> Spans:
    """(n, 2) the characters of each token; of one that has none, those between the token before and it.

    Some tokenizers leave white space out of all spans, of a token that is nothing else, too.
    """
    places: Spans = spans.copy()
    behind = np.concatenate(([0], spans[:-1, 1]))
    bare = (spans[:, 1] <= spans[:, 0]) & (behind < spans[:, 0])
    places[bare, 0] = behind[bare]
    return places


def _any(characters: Mask, places: Spans) -> Mask:
    """(n,) whether one of these characters stands in each place."""
    before = np.concatenate(([0], characters.cumsum()))
    found: Mask = before[places[:, 1]] > before[places[:, 0]]
    return found
