"""From documents to token ids, and which of the tokens count.

Special tokens stay in the model's input and out of the statistics, and so does the model's first position:
:mod:`sae_merge_method.corpora.counting` has the rule. Documents are never joined, and are cut at
``max_length``. Batches are another module's business.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.corpora.chat import users_turn
from sae_merge_method.corpora.counting import Ids, Mask, carries_text
from sae_merge_method.errors import CorpusError, UsageError
from sae_merge_method.models.families import vocabulary

logger = logging.getLogger(__name__)

_SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
_BLOCK = 256

Bits = npt.NDArray[np.uint32]
_UNCLASSIFIED: Bits = np.zeros(0, dtype=np.uint32)
Spans = npt.NDArray[np.int64]
_UNPLACED: Spans = np.zeros((0, 2), dtype=np.int64)


class Document(NamedTuple):
    """One tokenized document."""

    ids: Ids
    """(T,) what the model reads."""
    counted: Mask
    """(T,) which of them enter the statistics, where their norm is no outlier."""
    position: int = 0
    """Which document of its corpus it is."""
    classes: Bits = _UNCLASSIFIED
    """(T,) of which classes each token is, a bit each; empty where nobody has asked."""
    own_first: bool = False
    """Whether a token of its own text stands at the model's first position, and so does not count."""
    spans: Spans = _UNPLACED
    """(T, 2) from which character of its text to before which each token stands; of a token that stands for
    none of it, both are the same or lie outside; empty where nobody has asked."""

    @property
    def shown(self) -> Mask:
        """(T,) which tokens are the document's text as a reader is shown it: counted, and its own first."""
        shown: Mask = self.counted.copy()
        shown[:1] |= self.own_first
        return shown

    @property
    def counted_classes(self) -> Bits:
        """(n,) the classes of the counted tokens."""
        return self.classes[self.counted] if len(self.classes) else np.zeros(self.counted.sum(), np.uint32)

    def cut(self, length: int) -> "Document":
        """The document up to its ``length``-th counted token; itself where it has no more."""
        counted = np.flatnonzero(self.counted)
        if length >= len(counted):
            return self
        stop = int(counted[length - 1]) + 1
        return self._replace(
            ids=self.ids[:stop],
            counted=self.counted[:stop],
            classes=self.classes[:stop],
            spans=self.spans[:stop],
        )


def special_token_ids(tokenizer: Any, *configs: Any) -> frozenset[int]:
    """Ids of begin, end, padding, turn and image tokens: of the tokenizer and of the model's configs."""
    ids, words = set(tokenizer.all_special_ids), vocabulary()
    for number, token in tokenizer.added_tokens_decoder.items():
        if token.special or token.content in words.turn_markers:
            ids.add(number)
    for config in configs:
        for field in (*_SPECIAL_IDS, *words.special_ids):
            value = getattr(config, field, None)
            ids.update(value if isinstance(value, list | tuple) else [value])
    return frozenset(number for number in ids if number is not None)


def tokenize(
    tokenizer: Any,
    texts: Sequence[str],
    name: str,
    special: frozenset[int],
    max_length: int,
    max_tokens: int | None = None,
    *,
    begin: int | None = None,
    in_chat: bool = False,
    placed: bool = False,
) -> tuple[Document, ...]:
    """Tokenize one corpus; documents without a counted token are left out, with a warning.

    Args:
        tokenizer: Of transformers.
        texts: The documents.
        name: How messages name the corpus.
        special: Ids that do not count, from :func:`special_token_ids`.
        max_length: Longest document in tokens, special ones included; the rest is cut off.
        max_tokens: Stop before the first document that would exceed so many counted tokens.
        begin: Id of the token that stands before every document, put there where the tokenizer, or the chat
            template, does not; None for none.
        in_chat: Put every document into a user's turn of the chat template; only its own text counts.
        placed: Tell from where to where of its text each token stands; needs a fast tokenizer.

    Raises:
        CorpusError: No document has a token that counts, or the chat template rewrites documents.
        UsageError: No chat template, or a tokenizer that cannot say where its tokens stand.
    """
    documents: list[Document] = []
    total = cut = blank = 0
    tokenized = _in_chat(tokenizer, texts) if in_chat else _plain(tokenizer, texts, placed=placed)
    for position, (ids, is_text, spans) in enumerate(_begun(tokenized, begin)):
        cut += len(ids) > max_length
        tokens = ids[:max_length]
        counted = is_text[:max_length] & carries_text(tokens, special)
        if not counted.any():
            blank += 1
            continue
        total += int(counted.sum())
        if max_tokens is not None and total > max_tokens and documents:
            break
        own_first = bool(is_text[0]) and int(ids[0]) not in special
        kept = spans[:max_length] if placed else _UNPLACED
        documents.append(Document(tokens, counted, position, own_first=own_first, spans=kept))
    if not documents:
        raise CorpusError(
            f"no document of {name} has a token to count within {max_length} tokens "
            "once special tokens and the model's first position are left out"
        )
    if blank:
        logger.warning("%s: %d documents have no token to count and were left out", name, blank)
    if cut:
        logger.warning("%s: %d documents were cut at %d tokens", name, cut, max_length)
    return tuple(documents)


def check_tokens_differ(target: Sequence[Document], control: Sequence[Document]) -> None:
    """Refuse corpora that differ only in what is cut off or does not count.

    Raises:
        CorpusError: Both sides' counted tokens are the same, in whatever order of documents.
    """
    of_target, of_control = (
        sorted(document.ids[document.counted].tobytes() for document in side) for side in (target, control)
    )
    if of_target == of_control:
        raise CorpusError(
            "target and control are the same once documents are cut and special tokens left out: "
            "expected text of the ability to edit, and text without it"
        )


class _Tokenized(NamedTuple):
    """All tokens of one text."""

    ids: Ids
    is_text: Mask
    """(T,) which of them are the document's own text, or special tokens of the tokenizer's."""
    spans: Spans
    """As a document's."""


def _begun(tokenized: Iterator[_Tokenized], begin: int | None) -> Iterator[_Tokenized]:
    """Documents with begin-of-text in front, where it does not stand there."""
    for one in tokenized:
        if begin is None or (len(one.ids) and one.ids[0] == begin):
            yield one
        else:
            yield _Tokenized(
                np.insert(one.ids, 0, begin),
                np.insert(one.is_text, 0, False),
                np.insert(one.spans, 0, 0, axis=0) if len(one.spans) else one.spans,
            )


def _plain(tokenizer: Any, texts: Sequence[str], *, placed: bool) -> Iterator[_Tokenized]:
    """Documents as they are, between the special tokens that the tokenizer itself adds."""
    for start in range(0, len(texts), _BLOCK):
        block = list(texts[start : start + _BLOCK])
        asked = {"return_offsets_mapping": True} if placed else {}
        encoded = tokenizer(block, return_attention_mask=False, verbose=False, **asked)
        for nth, ids in enumerate(encoded["input_ids"]):
            spans = np.asarray(encoded["offset_mapping"][nth], np.int64) if placed else _UNPLACED
            yield _Tokenized(np.asarray(ids, np.int64), np.ones(len(ids), np.bool_), spans.reshape(-1, 2))


_ANY_TEXT = "some words of a user"
"""Shows where a template puts what it is given."""


def _in_chat(tokenizer: Any, texts: Sequence[str]) -> Iterator[_Tokenized]:
    """Documents as a user's turn each."""
    if not getattr(tokenizer, "chat_template", None):
        raise UsageError("--apply-chat-template: the model's tokenizer has no chat template")
    if not tokenizer.is_fast:
        raise UsageError("--apply-chat-template needs a fast tokenizer, which knows where its tokens stand")
    # A document's words may stand elsewhere in a template, too: in a preamble, in the name of a role.
    before, found, behind = users_turn(tokenizer, _ANY_TEXT).partition(_ANY_TEXT)
    for text in texts:
        whole = users_turn(tokenizer, text)
        inner = whole[len(before) : len(whole) - len(behind)]
        if not found or before + inner + behind != whole or inner.strip() != text.strip():
            raise CorpusError(f"the chat template rewrites documents: cannot find {text[:60]!r} in it")
        start = len(before) + inner.find(text.strip())  # templates trim what they are given, or do not
        stop = start + len(text.strip())
        encoded = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        spans = np.asarray(encoded["offset_mapping"], dtype=np.int64).reshape(-1, 2)
        inside = (spans[:, 1] > start) & (spans[:, 0] < stop)
        own = spans - (start - text.find(text.strip()))
        yield _Tokenized(np.asarray(encoded["input_ids"], dtype=np.int64), inside, own)
