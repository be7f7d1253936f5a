"""Documents as a model is to predict them: which tokens it reads, and which of them make its loss.

As lm-eval does for log-likelihoods, and so for the losses of an experiment: a document follows the model's
own first token, and every token of it is predicted; an answer follows its prompt, and is predicted alone. Of
a chat lm-eval also predicts the white space that the template ends with. Here it is read: a model asked in a
chat never says it, and a donor that does no more than expect it has gained nothing.
"""

import logging
from itertools import takewhile
from typing import Any

import numpy as np

from sae_merge_method.corpora.chat import users_turn
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.reading import Problem
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.errors import CorpusError, ModelError, UsageError

logger = logging.getLogger(__name__)


def to_predict(
    tokenizer: Any,
    corpus: Corpus,
    max_length: int,
    max_tokens: int | None = None,
    *,
    in_chat: bool = False,
) -> tuple[Document, ...]:
    """Tokenize a corpus; ``counted`` marks the tokens to predict, and never a document's first.

    Where every document has a prompt and a completion, the completion's tokens are predicted; else all are.

    Args:
        tokenizer: Of transformers.
        corpus: The documents.
        max_length: Longest document in tokens. Of one that is longer the end is cut off; of a prompt, its
            beginning, so that the answer stays.
        max_tokens: Stop before the first document that would exceed so many predicted tokens.
        in_chat: Put every prompt into a user's turn of the chat template. Documents without answers are read
            as they are.

    Raises:
        CorpusError: No document has a token to predict.
        ModelError: The tokenizer has no token for a document to follow.
        UsageError: ``in_chat`` without a chat template.
    """
    taken: list[Document] = []
    total = cut = empty = 0
    first = _first_token(tokenizer)
    for position, text in enumerate(corpus.documents):
        if corpus.problems is None:
            ids, start = [first, *_encode(tokenizer, text, special=False)], 1
            if ids[1:2] == [first]:
                ids = ids[1:]
        else:
            ids, start = _problem(tokenizer, corpus.problems[position], first, in_chat=in_chat)
        if len(ids) > max_length:
            cut += 1
            ids, start = _shortened(ids, start, max_length, from_prompt=corpus.problems is not None)
        counted = np.arange(len(ids)) >= start
        if not counted.any():
            empty += 1
            continue
        total += int(counted.sum())
        if max_tokens is not None and total > max_tokens and taken:
            break
        taken.append(Document(np.array(ids, dtype=np.int64), counted, position))
    if not taken:
        raise CorpusError(f"no document of {corpus.name} has a token to predict within {max_length} tokens")
    if cut:
        logger.warning("%s: %d documents were cut at %d tokens", corpus.name, cut, max_length)
    if empty:
        logger.warning("%s: %d documents have no token to predict and were left out", corpus.name, empty)
    return tuple(taken)


def _first_token(tokenizer: Any) -> int:
    """What lm-eval conditions a text on that follows nothing: the begin token, or else the end token."""
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if first is None:
        raise ModelError("the tokenizer has neither a begin nor an end token for a document to follow")
    return int(first)


def _encode(tokenizer: Any, text: str, *, special: bool) -> list[int]:
    return list(tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])


def _problem(tokenizer: Any, problem: Problem, first: int, *, in_chat: bool) -> tuple[list[int], int]:
    """Ids of prompt and answer, and where the answer begins.

    Spaces between belong to the answer; in a chat they are the template's own.
    """
    prompt, answer = problem
    if in_chat:
        if not getattr(tokenizer, "chat_template", None):
            raise UsageError("--apply-chat-template: the model's tokenizer has no chat template")
        prompt = users_turn(tokenizer, prompt, answer_follows=True)
    kept = prompt if in_chat else prompt.rstrip()
    if not kept:
        return [first, *_encode(tokenizer, prompt + answer, special=False)], 1
    whole = _encode(tokenizer, prompt + answer, special=True)
    before = _encode(tokenizer, kept, special=True)
    # Where a template's last space and an answer's beginning are one token, it is the answer's.
    start = _alike(whole, before) if in_chat else len(before)
    if whole[:2] == [first, first]:  # the prompt is a chat's, and begins with it by itself
        return whole[1:], max(1, start - 1)
    return whole, max(1, start)


def _alike(one: list[int], other: list[int]) -> int:
    """How many first tokens are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _shortened(ids: list[int], start: int, length: int, *, from_prompt: bool) -> tuple[list[int], int]:
    if not from_prompt:
        return ids[:length], start
    away = min(len(ids) - length, start - 1)
    # The first token stays: it is often the one that the model needs at its first position.
    ids = [ids[0], *ids[1 + away :]]
    return ids[:length], start - away
