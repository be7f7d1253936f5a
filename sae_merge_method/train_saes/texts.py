"""What SAEs are trained on: documents of several corpora, mixed by weight; some of each are held out.

Which documents are held out, and in which order the others are read, follows from their texts and the seed:
the same documents again, whatever the file's order, and never one text on both sides. What a model makes of
them is another module's business.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sae_merge_method.corpora.beginning import find_beginning
from sae_merge_method.corpora.counting import carries_text
from sae_merge_method.corpora.documents import read_corpus
from sae_merge_method.corpora.reading import is_dataset_name
from sae_merge_method.corpora.tokens import Document, special_token_ids, tokenize
from sae_merge_method.errors import CorpusError, UsageError
from sae_merge_method.loaded.text_model import TextModel

logger = logging.getLogger(__name__)

_WEIGHTED = re.compile(r"(?P<source>.+):(?P<weight>\d+(\.\d+)?)")
_MOST_HELD_OUT = 0.1
"""Share of a corpus' documents, beside its first, that may be held out."""
_CHARACTERS = 8
"""More than a token has in nearly any text."""
_WHOLE = 1 << 30
"""Longer than any document, in tokens: documents are taken apart here, not cut off."""


class WeightedSource(NamedTuple):
    """A corpus, and how much of what is read is to come from it."""

    source: str
    weight: float = 1.0


@dataclass(frozen=True)
class Text:
    """One corpus as it is trained on."""

    source: str
    """As the user wrote it, without its weight."""
    sha256: str
    """Of the file as it lies on disk; of a data set, over the documents taken."""
    weight: float
    training: tuple[Document, ...]
    """To learn from, in the order of their hashes."""
    held_out: tuple[Document, ...]
    """To judge by."""


class Reading(NamedTuple):
    """How much of which corpora is read."""

    tokens: int
    """To be trained on, together."""
    held_out: int
    """Counted tokens to be held out, together; 0 for none."""
    max_length: int
    """Longest piece of a document that the model reads at once, in tokens."""
    text_field: str
    max_documents: int | None
    seed: int


def parse_source(text: str) -> WeightedSource:
    """A corpus with an optional weight behind a colon, such as ``target.jsonl:2``.

    Raises:
        UsageError: A weight of 0.
    """
    match = None if Path(text).is_file() else _WEIGHTED.fullmatch(text)
    if match is None:
        return WeightedSource(text)
    weight = float(match["weight"])
    if not weight > 0:
        raise UsageError(f"expected a weight above 0 behind the colon, got {text!r}")
    source, written = match["source"], match["weight"]
    is_meant = _WEIGHTED.fullmatch(source) is not None  # there is a number for the config, too
    if is_dataset_name(source) and not Path(source).is_file() and not is_meant:
        logger.info(
            "%s: read as %s with the weight %s; where %s names a config or a split, write %s:1",
            text, source, written, written, text,
        )  # fmt: skip
    return WeightedSource(source, weight)


def read_texts(model: TextModel, sources: Sequence[str], reading: Reading) -> tuple[Text, ...]:
    """Read, order, tokenize and part the corpora.

    Whole documents are held out, and of them as much is kept to judge by as was asked for: the rest of the
    last one is neither learned from nor judged by.

    Raises:
        CorpusError: One cannot be read, or leaves nothing to train on beside what is held out.
        UsageError: A weight of 0, or the same corpus twice.
    """
    parsed = [parse_source(source) for source in sources]
    if len({one.source for one in parsed}) < len(parsed):
        raise UsageError(
            "expected each text once: a weight behind a colon, as in target.jsonl:2, has it read more"
        )
    whole = sum(one.weight for one in parsed)
    return tuple(_read(model, one, one.weight / whole, reading) for one in parsed)


def _read(model: TextModel, one: WeightedSource, share: float, reading: Reading) -> Text:
    corpus = read_corpus(one.source, reading.text_field, reading.max_documents)
    keys = {
        text: sha256(f"{reading.seed} {' '.join(text.split())}".encode()).digest()
        for text in corpus.documents
    }
    # What will not be read even once need not be tokenized.
    texts = _first(
        sorted(keys, key=keys.__getitem__), _CHARACTERS * share * (reading.tokens + reading.held_out)
    )
    special = special_token_ids(model.tokenizer, *model.configs)
    begin = find_beginning(model.tokenizer, *model.configs).id
    documents = tokenize(model.tokenizer, texts, one.source, special, _WHOLE, begin=begin)
    held: list[Document] = []
    wanted = share * reading.held_out
    for document in documents if reading.held_out else ():
        if held and (_tokens(held) >= wanted or len(held) >= _MOST_HELD_OUT * len(documents)):
            break
        held.append(document)
    last = keys[texts[held[-1].position]] if held else b""
    # Texts that differ in nothing but white space have one key: they stay together.
    training = [one for one in documents[len(held) :] if keys[texts[one.position]] != last]
    if not training:
        raise CorpusError(
            f"{one.source} has too few different documents: one is held out, none is left to learn from; "
            "--held-out 0 holds none out, and judges nothing"
        )
    length = min(reading.max_length, model.context)
    return Text(
        one.source,
        corpus.sha256,
        one.weight,
        tuple(_pieces(training, length, special)),
        tuple(_up_to(wanted, _pieces(held, length, special))),
    )


def _first(texts: Sequence[str], characters: float) -> list[str]:
    """The first texts with so many characters together, and always two."""
    ends = np.cumsum([len(text) for text in texts])
    return list(texts[: max(2, int(np.searchsorted(ends, characters)) + 1)])


def _pieces(documents: Sequence[Document], length: int, special: frozenset[int]) -> Iterator[Document]:
    """Documents in pieces that the model can read, each behind the special tokens that it begins with."""
    for document in documents:
        first = int(np.argmin(np.isin(document.ids, list(special))))
        start, body = document.ids[:first], document.ids[first:]
        room = max(1, length - first)
        for at in range(0, len(body), room):
            ids = np.concatenate([start, body[at : at + room]])
            counted = carries_text(ids, special)
            if counted.any():
                yield Document(ids, counted, document.position)


def _up_to(tokens: float, documents: Iterator[Document]) -> Iterator[Document]:
    """The first documents with so many counted tokens together."""
    counted = 0
    for document in documents:
        yield document
        counted += int(document.counted.sum())
        if counted >= tokens:
            return


def _tokens(documents: Sequence[Document]) -> int:
    return sum(int(document.counted.sum()) for document in documents)


class Picked(NamedTuple):
    """A document that is read next."""

    text: int
    """Which corpus it is of."""
    document: Document


def mixed(texts: Sequence[Text], seed: int) -> Iterator[Picked]:
    """Documents without end: of the corpus that lacks most of its share, each time through it in a new order.

    Counted tokens of each corpus stay in proportion to the weights, to within a document.
    """
    read = [0] * len(texts)
    orders = [_orders(len(text.training), (seed, nth)) for nth, text in enumerate(texts)]
    while True:
        nth = min(range(len(texts)), key=lambda nth: (read[nth] / texts[nth].weight, nth))
        document = texts[nth].training[next(orders[nth])]
        read[nth] += int(document.counted.sum())
        yield Picked(nth, document)


def _orders(n: int, seed: tuple[int, int]) -> Iterator[int]:
    time = 0
    while True:
        yield from np.random.default_rng((*seed, time)).permutation(n).tolist()
        time += 1


def blocks(picked: Iterator[Picked], tokens: int) -> Iterator[tuple[Picked, ...]]:
    """Runs of documents with at least so many counted tokens each, and no more documents than that takes."""
    while True:
        run: list[Picked] = []
        counted = 0
        while counted < tokens:
            run.append(next(picked))
            counted += int(run[-1].document.counted.sum())
        yield tuple(run)
