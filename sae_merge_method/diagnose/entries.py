"""What documents use of a block of features, and the matrices that scores read, made of it.

Documents as they are are summed in float64, from the entries themselves. Draws, of which there are thousands,
read matrices: dense ones where many documents use the features, for those processors multiply fastest, and
sparse ones where few do. A block is laid out once, and what some documents use is columns of it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.feature_block import FeatureBlock
from sae_merge_method.diagnose.midranks import Use, midranks

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_array

_SPARSE = 0.1
"""Blocks of which documents use a smaller share are multiplied sparsely: a dense product costs less above."""

Integers = npt.NDArray[np.int64]


class Entries(NamedTuple):
    """What documents use of some features, feature by feature."""

    starts: npt.NDArray[np.int32]
    """(a + 1,) where the entries of each feature begin."""
    document: npt.NDArray[np.int32]
    """(nnz,) which document, ascending within a feature."""
    values: npt.NDArray[np.float16]
    """(nnz,) mean activations as they are stored."""
    counts: npt.NDArray[np.integer]
    """(nnz,) counted tokens on which the feature fires."""
    exponent: int
    """A value times 2**exponent is the mean activation."""
    tokens: npt.NDArray[np.integer]
    """(N,) counted tokens of each document."""
    totals: npt.NDArray[np.float64]
    """(N,) usage of each document over all features of the layer."""
    n_features: int
    """A, of the layer."""

    @property
    def n_columns(self) -> int:
        """a."""
        return len(self.starts) - 1

    @property
    def use(self) -> Use:
        """What is ranked."""
        return Use(self.starts, self.document, self.values, len(self.totals))

    def of(self, documents: Integers, needs: tuple[str, ...], n_target: int | None = None) -> FeatureBlock:
        """What a score needs of some documents, densely and in float64: for few features.

        Args:
            documents: (n,) which, in the order of the block's.
            needs: Keys of :data:`~sae_merge_method.diagnose.specificity.Means`; ranks are among these.
            n_target: The first so many are the target's, where what is laid out will be resampled: ranks are
                then replaced by placements, so that resampled documents need not be ranked again.
        """
        import torch

        columns: dict[str, torch.Tensor | csr_array] = {
            name: torch.from_numpy(matrix.toarray()[:, documents])
            for name, matrix in self.sparse(needs).items()
        }
        if "rank" in needs:
            columns["rank"] = torch.from_numpy(
                midranks(self.use, [documents])[0] / len(documents)
                if n_target is None
                else _placements(self.use, documents, n_target)
            )
        return FeatureBlock(columns, torch.from_numpy(self.totals[documents]), self.n_features)

    def exact(self, sparse: "Mapping[str, csr_array]") -> FeatureBlock:
        """What all documents use, for few means; without ranks.

        Args:
            sparse: From :meth:`sparse`.
        """
        import torch

        return FeatureBlock(dict(sparse), torch.from_numpy(self.totals), self.n_features)

    def sparse(self, needs: tuple[str, ...]) -> "dict[str, csr_array]":
        """(a, N) matrices of all documents, by what they hold, in float64; of ranks there is none."""
        import torch
        from scipy.sparse import csr_array

        # By torch: NumPy widens half precision one number at a time.
        usage = torch.from_numpy(self.values).double().numpy()
        usage *= 2.0**self.exponent
        entries_of = {"usage": usage}
        if "square" in needs:
            entries_of["square"] = usage**2
        if "rate" in needs:
            entries_of["rate"] = self.counts / self.tokens.astype(np.float64)[self.document]
        shape = (self.n_columns, len(self.totals))
        return {
            name: csr_array((entries_of[name], self.document, self.starts), shape)
            for name in needs
            if name != "rank"
        }


class Layout:
    """A block of features laid out for many means.

    Args:
        entries: The block.
        sparse: Its matrices, from :meth:`Entries.sparse`.
        single: In float32, and else in float64.
    """

    def __init__(self, entries: Entries, sparse: "Mapping[str, csr_array]", *, single: bool) -> None:
        import torch
        from scipy.sparse import csr_array

        self._entries = entries
        self._kind: type[np.floating] = np.float32 if single else np.float64
        self._totals = torch.from_numpy(entries.totals.astype(self._kind))
        dense = len(entries.document) >= _SPARSE * entries.n_columns * len(entries.totals)
        self._columns: dict[str, torch.Tensor | csr_array] = {}
        for name, matrix in sparse.items():
            numbers = matrix.data.astype(self._kind, copy=False)
            drawn = csr_array((numbers, entries.document, entries.starts), matrix.shape)
            self._columns[name] = torch.from_numpy(drawn.toarray()) if dense else drawn

    def of(self, parts: Sequence[Integers], needs: tuple[str, ...]) -> list[FeatureBlock]:
        """What a score needs of some documents, part by part.

        Args:
            parts: (n,) documents of each, in the order of its block's; none of them in two.
            needs: Keys of :data:`~sae_merge_method.diagnose.specificity.Means`; of all but ranks there are
                matrices.
        """
        import torch

        blocks = [self._of(documents, needs) for documents in parts]
        if "rank" in needs:
            ranks = midranks(self._entries.use, parts, self._kind)
            for block, of_part in zip(blocks, ranks, strict=True):
                block.columns["rank"] = torch.from_numpy(of_part)
        return blocks

    def _of(self, documents: Integers, needs: tuple[str, ...]) -> FeatureBlock:
        import torch

        chosen = torch.from_numpy(documents)
        everyone = len(documents) == len(self._totals) and bool((np.diff(documents) == 1).all())

        def among(matrix: "torch.Tensor | csr_array") -> "torch.Tensor | csr_array":
            if everyone:
                return matrix
            return (
                matrix.index_select(1, chosen) if isinstance(matrix, torch.Tensor) else matrix[:, documents]
            )

        columns = {name: among(self._columns[name]) for name in needs if name != "rank"}
        return FeatureBlock(columns, self._totals[chosen], self._entries.n_features, len(documents))


def _placements(use: Use, documents: Integers, n_target: int) -> npt.NDArray[np.floating]:
    """(a, n) placements: how many documents of the other side each stands above, as a share.

    An area under the ROC curve is a mean over pairs of documents; under resampling it moves, to first order,
    with the weighted means of the documents' placements: the share of the *other* side that a document stands
    above (DeLong et al. 1988). Shifted so that ``1/2 + mean over target - mean over control`` gives that
    value, and the exact one for equal weights.

    Args:
        use: What all documents use.
        documents: (n,) which of them, the target's first.
        n_target: How many those are.
    """
    (above,) = midranks(use, [documents])
    above -= np.concatenate(midranks(use, np.split(documents, [n_target])), axis=1)
    above[:, :n_target] /= above.shape[1] - n_target
    above[:, n_target:] /= n_target
    above[:, n_target:] += above[:, :n_target].mean(axis=1, keepdims=True) - 0.5
    return above
