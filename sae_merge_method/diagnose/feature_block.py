"""Means over documents of a block of features, by one matrix product, whether dense or sparse."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.specificity import Means

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_array


class FeatureBlock(NamedTuple):
    """Some features as some documents use them, in the documents' order."""

    columns: "dict[str, torch.Tensor | csr_array]"
    """(a, n) by key of :data:`Means`, all in one precision."""
    totals: "torch.Tensor"
    """(n,) usage of each document over all features of the layer, in the same precision."""
    n_features: int
    """A, of the layer."""
    highest_rank: int = 1
    """What ranks are divided by where means are made of them: until then they are exact in float32 too."""

    def means(self, weights: "torch.Tensor", total: "torch.Tensor | None" = None) -> Means:
        """Weighted means over documents.

        Args:
            weights: (..., n), each row summing to 1.
            total: (..., 1) the mean of :attr:`totals`, where it is known.
        """
        import torch

        # The totals have the precision of the columns.
        weights = weights.to(self.totals.dtype)

        def mean(matrix: "torch.Tensor | csr_array") -> "torch.Tensor":
            if isinstance(matrix, torch.Tensor):
                return weights @ matrix.mT
            means: torch.Tensor = torch.from_numpy(matrix @ np.ascontiguousarray(weights.numpy().T))
            return means if weights.dim() == 1 else means.mT

        means = {name: mean(matrix) for name, matrix in self.columns.items()}
        if "rank" in means:
            means["rank"] /= self.highest_rank
        return {
            **means,
            "total": (weights @ self.totals)[..., None] if total is None else total,
            "features": weights.new_tensor(self.n_features),
        }

    def sides(self, is_target: npt.NDArray[np.bool_]) -> tuple[Means, Means]:
        """Means over the documents that are target, and over the others."""
        import torch

        target = torch.from_numpy(is_target).to(self.totals.dtype)
        control = 1 - target
        return self.means(target / target.sum()), self.means(control / control.sum())

    def ranks_of(self, chosen: "torch.Tensor") -> "torch.Tensor":
        """(a,) mean ranks of some documents (n,); float32 holds their sums exactly up to 2,800 documents."""
        import torch

        ranks = self.columns["rank"]
        if not isinstance(ranks, torch.Tensor):
            raise TypeError("ranks are laid out densely")
        return (ranks @ chosen.to(ranks.dtype)).double() / (int(chosen.sum()) * self.highest_rank)

    def only(self, needs: tuple[str, ...]) -> "FeatureBlock":
        """The same with some of its matrices alone."""
        return self._replace(columns={name: self.columns[name] for name in needs})

    def part(self, start: int, stop: int) -> "FeatureBlock":
        """The same of neighbouring documents alone."""
        columns = {name: matrix[:, start:stop] for name, matrix in self.columns.items()}
        return self._replace(columns=columns, totals=self.totals[start:stop])
