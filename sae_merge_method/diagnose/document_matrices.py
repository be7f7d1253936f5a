"""One layer's sparse usage laid out as the matrices that scores read: documents x features."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.specificity import Means

if TYPE_CHECKING:
    import torch


class DocumentMatrices(NamedTuple):
    """One layer, N documents x A features that fired at all; float64."""

    features: npt.NDArray[np.int64]
    """(A,) which features the columns are."""
    columns: dict[str, "torch.Tensor"]
    """(N, A) by key of :data:`Means`."""

    def means(self, weights: "torch.Tensor") -> Means:
        """Weighted means over documents; ``weights`` (..., N), each row summing to 1."""
        return {name: weights @ matrix for name, matrix in self.columns.items()}

    def sides(self, is_target: npt.NDArray[np.bool_]) -> tuple[Means, Means]:
        """Means over the documents that are target, and over the others."""
        import torch

        target = torch.from_numpy(is_target).double()
        control = 1 - target
        return self.means(target / target.sum()), self.means(control / control.sum())

    def of(self, rows: npt.NDArray[np.int64], needs: tuple[str, ...]) -> "DocumentMatrices":
        """Some documents' rows of what a score needs; ranks are among these documents."""
        import torch

        usage = self.columns["usage"]
        chosen = torch.from_numpy(rows)
        # A copy only where some documents are left out: one matrix may take 128 MB.
        whole = len(rows) == len(usage)
        columns = {
            name: self.columns[name] if whole else self.columns[name][chosen]
            for name in needs
            if name != "rank"
        }
        if "rank" in needs:
            from scipy.stats import rankdata

            ranks = rankdata(columns["usage"].numpy(), axis=0)
            columns["rank"] = torch.from_numpy(ranks / len(rows))
        return DocumentMatrices(self.features, columns)

    def for_resampling(self, is_target: npt.NDArray[np.bool_]) -> "DocumentMatrices":
        """The same matrices, with ranks replaced so that resampled documents need not be ranked again.

        An area under the ROC curve is a mean over pairs of documents; under resampling it moves, to
        first order, with the weighted means of the documents' placements: the share of the *other*
        side that a document stands above (DeLong et al. 1988). Shifted so that
        ``1/2 + mean over target - mean over control`` gives that value, and the exact one for equal
        weights.
        """
        import torch

        if "rank" not in self.columns:
            return self
        from scipy.stats import rankdata

        usage = self.columns["usage"].numpy()
        ranks = self.columns["rank"].numpy() * len(usage)
        placement = np.empty_like(ranks)
        for side in (is_target, ~is_target):
            placement[side] = (ranks[side] - rankdata(usage[side], axis=0)) / (~side).sum()
        area = placement[is_target].mean(axis=0)
        placement[~is_target] += area - 0.5
        return self._replace(columns={**self.columns, "rank": torch.from_numpy(placement)})


def document_matrices(usage: LayerUsage, documents: Documents, needs: tuple[str, ...]) -> DocumentMatrices:
    """Lay one layer's sparse usage out as the matrices a score needs, ranks excepted.

    Features that never fired add nothing to any score and are left out.
    """
    import torch

    features, column = np.unique(usage.indices, return_inverse=True)
    rows = usage.rows()
    shape = (len(documents.side), len(features))
    dense = np.zeros(shape)
    dense[rows, column] = usage.means()
    columns = {"usage": torch.from_numpy(dense)}
    if "square" in needs:
        columns["square"] = columns["usage"].square()
    if "rate" in needs:
        rate = np.zeros(shape)
        rate[rows, column] = usage.counts / usage.tokens[rows]
        columns["rate"] = torch.from_numpy(rate)
    return DocumentMatrices(features.astype(np.int64), columns)
