"""Classes of tokens that tell texts apart without being about their content: digits, newlines, templates, ...

Which tokens of a corpus are of which class. Leaving a class out of the counting, or asking what the score
owes to it, is made of that.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sae_merge_method.corpora.counting import Mask
from sae_merge_method.corpora.duplicates import run_hashes
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.errors import CorpusError

logger = logging.getLogger(__name__)

Decode = Callable[[int], str]
"""The text of a token."""

RUN = 3
"""Neighbouring tokens that together are a piece of a template."""
COMMON = 0.5
"""A run is a template's if at least that share of the corpus' documents holds it."""


class TokenClass(NamedTuple):
    """A named class of tokens: one row of the registry."""

    name: str
    description: str
    """Which tokens it holds, for help texts."""
    members: Callable[[Sequence[Document], Decode], list[Mask]]
    """By document of one corpus, (T,) which of its tokens are of the class."""
    by_text: bool = False
    """Whether a token's text decides it alone. Of any other class a surface twin knows nothing by itself: its
    tokens are of it where they stand on what is of it in the text (:mod:`sae_merge_method.corpora.held`)."""


def _by_text(name: str, description: str, is_member: Callable[[str], bool]) -> TokenClass:
    """A class that the text of a token decides alone."""

    def members(documents: Sequence[Document], decode: Decode) -> list[Mask]:
        ids = np.unique(np.concatenate([document.ids for document in documents]))
        of_class = ids[[is_member(decode(int(token))) for token in ids]]
        return [np.isin(document.ids, of_class) for document in documents]

    return TokenClass(name, description, members, by_text=True)


def _is_punctuation(text: str) -> bool:
    visible = text.strip()
    return bool(visible) and not any(sign.isalnum() for sign in visible)


def _template(documents: Sequence[Document], _: Decode) -> list[Mask]:
    """Runs of counted tokens that most documents of the corpus hold."""
    runs = [run_hashes(document.ids[document.counted], RUN) for document in documents]
    holders = Counter(int(run) for of_document in runs for run in np.unique(of_document))
    least = max(2, COMMON * len(documents))
    common = np.array([run for run, count in holders.items() if count >= least], dtype=np.uint64)
    return [
        _covered(document, np.isin(of_document, common))
        for document, of_document in zip(documents, runs, strict=True)
    ]


def _covered(document: Document, starts: Mask) -> Mask:
    """(T,) the counted tokens that stand in a run that starts at one of ``starts``."""
    places = np.flatnonzero(document.counted)
    inside = np.zeros(len(places), dtype=np.bool_)
    for offset in range(min(RUN, len(places))):
        inside[offset : offset + len(starts)] |= starts[: len(places) - offset]
    covered = np.zeros(len(document.ids), dtype=np.bool_)
    covered[places[inside]] = True
    return covered


TOKEN_CLASSES: dict[str, TokenClass] = {
    row.name: row
    for row in (
        _by_text("digits", "tokens with a digit", lambda text: any(map(str.isdigit, text))),
        _by_text("newlines", "tokens with a line break", lambda text: "\n" in text or "\r" in text),
        _by_text(
            "punctuation", "tokens of signs alone, neither letter nor digit: . , ( + = $", _is_punctuation
        ),
        TokenClass(
            "template",
            f"runs of {RUN} tokens or more that at least {COMMON:.0%} of a corpus' documents hold",
            _template,
        ),
    )
}
"""All classes by name: a row here is all that a new one takes."""


def classify(documents: Sequence[Document], decode: Decode) -> tuple[Document, ...]:
    """The documents of one corpus with the classes of their tokens: bit n is the n-th class of the
    registry."""
    bits = [np.zeros(len(document.ids), dtype=np.uint32) for document in documents]
    for nth, row in enumerate(TOKEN_CLASSES.values()):
        for of_document, members in zip(bits, row.members(documents, decode), strict=True):
            of_document |= members.astype(np.uint32) << np.uint32(nth)
    return tuple(
        document._replace(classes=of_document) for document, of_document in zip(documents, bits, strict=True)
    )


def class_bits(names: Sequence[str]) -> int:
    """The bits of some classes together."""
    return sum(1 << nth for nth, name in enumerate(TOKEN_CLASSES) if name in names)


def leave_out(documents: Sequence[Document], masked: Sequence[str], name: str) -> tuple[Document, ...]:
    """Count no token of some classes; documents without another are left out, with a warning.

    Args:
        documents: From :func:`classify`.
        masked: Names of the classes.
        name: How messages name the corpus.

    Raises:
        CorpusError: No document has another token.
    """
    bits = class_bits(masked)
    counted = [
        document._replace(counted=document.counted & ((document.classes & bits) == 0))
        for document in documents
    ]
    kept = tuple(document for document in counted if document.counted.any())
    if not kept:
        raise CorpusError(f"no document of {name} has a token to count beside {', '.join(masked)}")
    if len(kept) < len(documents):
        logger.warning(
            "%s: %d documents have no token beside %s and were left out",
            name, len(documents) - len(kept), ", ".join(masked),
        )  # fmt: skip
    return kept


def shares_of_tokens(documents: Sequence[Document]) -> dict[str, float]:
    """By class, its share of the counted tokens."""
    bits = np.concatenate([document.counted_classes for document in documents])
    return {name: float(((bits >> nth) & 1).mean()) for nth, name in enumerate(TOKEN_CLASSES)}
