"""Characters that a surface twin leaves in their place, and the tokens of it that stand on them.

What is masked for where it stands in a corpus, a template, is no longer known as such once words are
shuffled: the twin would count it in place of the text. So it stays where it is, and no token on it counts.
"""

import numpy as np

from sae_merge_method.corpora.counting import Mask
from sae_merge_method.corpora.token_classes import TOKEN_CLASSES, class_bits
from sae_merge_method.corpora.tokens import Document


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
    for start, stop in spans[of_class]:
        held[start:stop] = True
    held[spans[of_class | document.counted].max() :] = True
    return held


def put_on_held(document: Document, held: Mask, bits: int) -> Document:
    """A twin's document whose tokens are of the classes where they stand on a character held, and only there.

    Args:
        document: With the classes and spans of its tokens.
        held: (n,) which characters of the twin are held.
        bits: Of the classes.
    """
    before = np.concatenate(([0], held.cumsum()))
    first = document.spans[:, 0].clip(0, len(held))
    # A token that stands for no character, such as the space that some put in front, is of what follows.
    last = np.maximum(document.spans[:, 1], document.spans[:, 0] + 1).clip(0, len(held))
    classes = document.classes & np.uint32(~bits & 0xFFFFFFFF)
    classes[before[last] > before[first]] |= np.uint32(bits)
    return document._replace(classes=classes)
