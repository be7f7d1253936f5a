"""One layer's sparse usage laid out as the matrices that scores read, a block of features at a time.

A layer of 262k features over thousands of documents is gigabytes as one matrix. It stays sparse here, feature
by feature, and a block is laid out when its turn comes: densely where many documents use its features, for
that is what processors multiply fastest, and sparsely where few do.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.feature_block import FeatureBlock
from sae_merge_method.diagnose.midranks import midranks

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_array

BLOCK_FEATURES = 1024
"""Features of a block: a matrix of theirs over 2,000 documents takes 16 MB, and what a score makes of 128
draws stays near the processor."""

_SPARSE = 0.08
"""Blocks of which documents use a smaller share are multiplied sparsely: a dense product costs less above."""

Integers = npt.NDArray[np.int64]


class LaidOut(NamedTuple):
    """One block of features, and which of the layer's they are."""

    positions: Integers
    """(a,) places among :attr:`DocumentMatrices.features`."""
    entries: "Entries"


class Entries(NamedTuple):
    """What documents use of some features, feature by feature."""

    column: npt.NDArray[np.int32]
    """(nnz,) which of these features, ascending."""
    document: npt.NDArray[np.int32]
    """(nnz,) which document, ascending within a feature."""
    values: npt.NDArray[np.float16]
    """(nnz,) as they are stored."""
    usage: npt.NDArray[np.float64]
    """(nnz,) mean activations: the same in their unit."""
    counts: npt.NDArray[np.int64]
    """(nnz,) counted tokens on which the feature fires."""
    tokens: npt.NDArray[np.integer]
    """(N,) counted tokens of each document."""
    n_columns: int
    """a."""
    totals: npt.NDArray[np.float64]
    """(N,) usage of each document over all features of the layer."""
    n_features: int
    """A, of the layer."""

    def of(
        self,
        documents: Integers,
        needs: tuple[str, ...],
        n_target: int | None = None,
        *,
        many_means: bool = True,
    ) -> FeatureBlock:
        """What a score needs of some documents.

        Args:
            documents: (n,) which, in the order of the block's.
            needs: Keys of :data:`~sae_merge_method.diagnose.specificity.Means`; ranks are among these.
            n_target: The first so many are the target's, where what is laid out will be resampled: ranks are
                then replaced by placements, so that resampled documents need not be ranked again.
            many_means: Whether it pays to lay the features out densely.
        """
        import torch

        mine = self._among(documents)
        shape = (self.n_columns, len(documents))
        sparse = not many_means or len(mine.column) < _SPARSE * self.n_columns * len(documents)
        entries_of = {"usage": mine.usage}
        if "square" in needs:
            entries_of["square"] = mine.usage**2
        if "rate" in needs:
            entries_of["rate"] = mine.counts / self.tokens[documents][mine.document]

        def laid_out(entries: npt.NDArray[np.float64]) -> "torch.Tensor | csr_array":
            if sparse:
                from scipy.sparse import csr_array

                starts = np.searchsorted(mine.column, np.arange(self.n_columns + 1))
                return csr_array((entries, mine.document, starts), shape)
            dense = np.zeros(shape[0] * shape[1])
            dense[mine.column * np.int32(shape[1]) + mine.document] = entries
            return torch.from_numpy(dense.reshape(shape))

        columns = {name: laid_out(entries_of[name]) for name in needs if name != "rank"}
        if "rank" in needs:
            columns["rank"] = torch.from_numpy(mine._ranks(shape, n_target))
        return FeatureBlock(columns, torch.from_numpy(self.totals[documents]), self.n_features)

    def _among(self, documents: Integers) -> "Entries":
        """Those of some documents, numbered as they come there."""
        if len(documents) == len(self.totals) and (np.diff(documents) == 1).all():
            return self
        place = np.full(len(self.totals), -1, dtype=np.int32)
        place[documents] = np.arange(len(documents), dtype=np.int32)
        document = place[self.document]
        kept = np.flatnonzero(document >= 0)
        return self._replace(
            column=self.column[kept],
            document=document[kept],
            values=self.values[kept],
            usage=self.usage[kept],
            counts=self.counts[kept],
        )

    def _ranks(self, shape: tuple[int, int], n_target: int | None) -> npt.NDArray[np.float64]:
        """(a, n) ranks over n; or placements."""
        ranks = midranks(self.column, self.document, self.values, shape)
        if n_target is None:
            ranks /= shape[1]
            return ranks
        for start, stop in ((0, n_target), (n_target, shape[1])):
            within = (self.document >= start) & (self.document < stop)
            ranks[:, start:stop] -= midranks(
                self.column[within],
                self.document[within] - start,
                self.values[within],
                (shape[0], stop - start),
            )
        return _placements(ranks, n_target)


def _placements(above: npt.NDArray[np.float64], n_target: int) -> npt.NDArray[np.float64]:
    """Placements from how many documents of the other side each stands above.

    An area under the ROC curve is a mean over pairs of documents; under resampling it moves, to first order,
    with the weighted means of the documents' placements: the share of the *other* side that a document stands
    above (DeLong et al. 1988). Shifted so that ``1/2 + mean over target - mean over control`` gives that
    value, and the exact one for equal weights.

    Args:
        above: (a, n) the target's documents first; overwritten.
        n_target: How many those are.
    """
    above[:, :n_target] /= above.shape[1] - n_target
    above[:, n_target:] /= n_target
    above[:, n_target:] += above[:, :n_target].mean(axis=1, keepdims=True) - 0.5
    return above


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
    packed: Integers
    """(nnz,) bits of the stored value, then 32 bits of the number of tokens fired on."""
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
        document, packed = self.document[entries], self.packed[entries]
        values = (packed >> _COUNT_BITS).astype(np.uint16).view(np.float16)
        return Entries(
            np.repeat(np.arange(len(nth), dtype=np.int32), np.diff(self.starts)[nth]),
            document,
            values,
            np.ldexp(values.astype(np.float64), self.exponent),
            packed & _COUNT_MASK,
            self.tokens,
            len(nth),
            self.totals,
            len(self.features),
        )


_COUNT_BITS = 32
_COUNT_MASK = (1 << _COUNT_BITS) - 1


def document_matrices(usage: LayerUsage, documents: Documents) -> DocumentMatrices:
    """Lay one layer's usage out by feature; features that never fired add nothing to any score."""
    from scipy.sparse import csr_array

    used = np.bincount(usage.indices, minlength=usage.d_sae)
    features = np.flatnonzero(used)
    order = np.argsort(-used[features], kind="stable")
    place = np.zeros(usage.d_sae, dtype=np.int32)
    place[features[order]] = np.arange(len(features), dtype=np.int32)
    packed = usage.values.view(np.uint16).astype(np.int64) << _COUNT_BITS | usage.counts
    shape = (len(documents.side), len(features))
    by_feature = csr_array((packed, place[usage.indices], usage.indptr), shape).tocsc()
    # One 0 behind all entries, where rows without any may begin.
    totals = np.add.reduceat(np.append(usage.means(), 0.0), usage.indptr[:-1])
    totals[np.diff(usage.indptr) == 0] = 0  # reduceat gives what follows an empty row
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
