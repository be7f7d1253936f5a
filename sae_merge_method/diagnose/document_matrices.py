"""One layer's sparse usage, feature by feature, from which the matrices that scores read are made.

A layer of 262k features over thousands of documents is gigabytes as one matrix. It stays sparse here, and a
block of features is laid out when its turn comes (:mod:`~sae_merge_method.diagnose.entries`).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.entries import Entries
from sae_merge_method.diagnose.feature_block import FeatureBlock

BLOCK_FEATURES = 512
"""Features of a block: a matrix of theirs over 2,000 documents takes 4 MB, and what a score makes of 256
draws stays near the processor."""

Integers = npt.NDArray[np.int64]


class LaidOut(NamedTuple):
    """One block of features, and which of the layer's they are."""

    positions: Integers
    """(a,) places among :attr:`DocumentMatrices.features`."""
    entries: Entries


class DocumentMatrices(NamedTuple):
    """One layer, N documents x A features that fired at all; from the most to the least used, so that
    neighbours are used by about as many documents."""

    features: Integers
    """(A,) which features, ascending."""
    order: Integers
    """(A,) their places from the most to the least used."""
    starts: Integers
    """(A + 1,) where the entries of each begin, in that order."""
    document: npt.NDArray[np.int32]
    """(nnz,) by entry, which document."""
    packed: npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
    """(nnz,) the stored value in the upper half of the bits, the number of tokens fired on in the lower."""
    tokens: npt.NDArray[np.integer]
    """(N,) counted tokens."""
    exponent: int
    """A value times 2**exponent is the mean activation."""
    totals: npt.NDArray[np.float64]
    """(N,) usage over all features."""

    def blocks(self) -> Iterator[LaidOut]:
        """All features, a block at a time."""
        for start in range(0, len(self.features), BLOCK_FEATURES):
            nth = np.arange(start, min(start + BLOCK_FEATURES, len(self.features)))
            entries = slice(self.starts[start], self.starts[nth[-1] + 1])
            yield LaidOut(self.order[nth], self._entries(nth, entries))

    def chosen(self, positions: Integers) -> Entries:
        """Some features alone.

        Args:
            positions: Places among :attr:`features`.
        """
        nth = np.argsort(self.order)[positions]
        starts, lengths = self.starts[nth], np.diff(self.starts)[nth]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self._entries(nth, np.repeat(starts, lengths) + within)

    def of(self, documents: Integers, needs: tuple[str, ...], n_target: int | None = None) -> FeatureBlock:
        """All features at once, as :meth:`Entries.of` lays them out: for small layers."""
        return self.chosen(np.arange(len(self.features))).of(documents, needs, n_target)

    def _entries(self, nth: Integers, entries: Integers | slice) -> Entries:
        # The halves of a number lie side by side, the lower one first.
        half = np.uint16 if self.packed.dtype == np.uint32 else np.uint32
        halves = self.packed[entries].astype(self.packed.dtype.newbyteorder("<"), copy=False).view(half)
        return Entries(
            np.concatenate([[0], np.cumsum(np.diff(self.starts)[nth])]).astype(np.int32),
            np.array(self.document[entries]),  # SciPy copies what is a small part of an array, each time anew
            halves[1::2].astype(np.uint16).view(np.float16),
            halves[::2],
            self.exponent,
            self.tokens,
            self.totals,
            len(self.features),
        )


def document_matrices(usage: LayerUsage, documents: Documents) -> DocumentMatrices:
    """Lay one layer's usage out by feature; features that never fired add nothing to any score."""
    from scipy.sparse import csr_array

    used = np.bincount(usage.indices, minlength=usage.d_sae)
    features = np.flatnonzero(used)
    order = np.argsort(-used[features], kind="stable")
    column_of = np.zeros(usage.d_sae, dtype=np.int32)
    column_of[features[order]] = np.arange(len(features), dtype=np.int32)
    # A value takes 16 bits, and a count as many or 32.
    kind, bits = (np.uint32, 16) if usage.counts.dtype == np.uint16 else (np.uint64, 32)
    packed = usage.values.view(np.uint16).astype(kind)
    packed <<= kind(bits)
    packed |= usage.counts
    shape = (len(documents.side), len(features))
    # SciPy takes the wider of both kinds of index for either: 32 bits wherever they number all entries.
    starts = usage.indptr.astype(np.int32) if len(packed) < 1 << 31 else usage.indptr
    by_feature = csr_array((packed, column_of[usage.indices], starts), shape).tocsc()
    totals = np.zeros(len(documents.side))
    using = np.flatnonzero(np.diff(usage.indptr))
    if len(using):
        totals[using] = np.add.reduceat(usage.means(), usage.indptr[using])
    return DocumentMatrices(
        features,
        order,
        np.asarray(by_feature.indptr, dtype=np.int64),
        by_feature.indices.astype(np.int32, copy=False),
        by_feature.data,
        usage.tokens,
        usage.exponent,
        totals,
    )
