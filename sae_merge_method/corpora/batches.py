"""Documents that go through a model together: padded on the right, of similar length."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sae_merge_method.corpora.counting import Ids, Mask
from sae_merge_method.corpora.tokens import Bits, Document


class Batch(NamedTuple):
    """Documents that go through the model together, padded on the right."""

    documents: tuple[int, ...]
    """Positions of the documents in the whole list."""
    ids: Ids
    """(B, T) what the model reads."""
    attention: Mask
    """(B, T) False on padding."""
    counted: Mask
    """(B, T) False on padding and special tokens."""
    classes: Bits
    """(n,) classes of the counted tokens, document by document."""


def make_batches(documents: Sequence[Document], tokens_per_batch: int) -> Iterator[Batch]:
    """Batches of similar length, longest first, each within ``tokens_per_batch`` with padding.

    A document longer than that is a batch of its own.
    """
    order = sorted(range(len(documents)), key=lambda nth: (-len(documents[nth].ids), nth))
    start = 0
    while start < len(order):
        width = len(documents[order[start]].ids)
        stop = start + max(1, tokens_per_batch // width)
        yield _pad(documents, tuple(order[start:stop]), width)
        start = stop


def _pad(documents: Sequence[Document], chosen: tuple[int, ...], width: int) -> Batch:
    ids = np.zeros((len(chosen), width), dtype=np.int64)
    attention = np.zeros_like(ids, dtype=np.bool_)
    counted = np.zeros_like(attention)
    for row, nth in enumerate(chosen):
        document = documents[nth]
        length = len(document.ids)
        ids[row, :length] = document.ids
        attention[row, :length] = True
        counted[row, :length] = document.counted
    classes = np.concatenate([documents[nth].counted_classes for nth in chosen])
    return Batch(chosen, ids, attention, counted, classes)
