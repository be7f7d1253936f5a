"""The work of a diagnosis cut into chunks, and which of a batch's tokens are whose."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.corpora.batches import Batch, make_batches
from sae_merge_method.corpora.token_classes import TOKEN_CLASSES
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.diagnose.token_layout import TokenLayout

BATCHES_PER_CHUNK = 4


class Chunk(NamedTuple):
    """A run of batches that is kept, or done again, as a whole."""

    number: int
    batches: tuple[Batch, ...]

    @property
    def documents(self) -> tuple[int, ...]:
        """Places of all its documents, in the order of the batches."""
        return tuple(document for batch in self.batches for document in batch.documents)

    @property
    def tokens(self) -> int:
        """Tokens that carry text."""
        return sum(int(batch.counted.sum()) for batch in self.batches)


def make_chunks(documents: Sequence[Document], batch_tokens: int) -> tuple[Chunk, ...]:
    """Cut the work into chunks, the same ones whenever the documents are the same."""
    batches = list(make_batches(documents, batch_tokens))
    starts = range(0, len(batches), BATCHES_PER_CHUNK)
    return tuple(
        Chunk(number, tuple(batches[start : start + BATCHES_PER_CHUNK]))
        for number, start in enumerate(starts)
    )


def lay_out(batch: Batch, side_of: npt.NDArray[np.int64], stride: int) -> TokenLayout:
    """Which tokens of a batch are whose.

    Args:
        batch: Of the documents.
        side_of: (N,) the side of each document, -1 for a twin.
        stride: Reconstruct every so many-th token for the explained variance.
    """
    tokens, sides = batch.counted.sum(axis=1), side_of[list(batch.documents)]
    return TokenLayout(
        tokens=tokens,
        ids=batch.ids[batch.counted],
        places=np.nonzero(batch.counted)[1],
        sampled=_every(stride, batch.documents, tokens) & np.repeat(sides >= 0, tokens),
        classes=batch.classes,
        n_classes=len(TOKEN_CLASSES),
        sides=sides,
        n_sides=int(side_of.max()) + 1,
    )


def _every(stride: int, documents: Sequence[int], tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(T,) every ``stride``-th token, from another start in each document."""
    positions = [np.arange(start, start + count) for start, count in zip(documents, tokens, strict=True)]
    return np.asarray(np.concatenate(positions) % stride == 0)
