"""Features of tokens as any device but a processor holds them: all of them, summed by products.

There a hundred small sums cost more than their numbers. So sums by document are products with the matrix of
which token is whose.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.token_layout import Rows, TokenLayout, Without
from sae_merge_method.models.devices import exact_device

if TYPE_CHECKING:
    import torch

Integers = npt.NDArray[np.int64]
Groups = Sequence[Integers]
"""Of each, the places of what belongs to it."""


class DenseFeatures(NamedTuple):
    """All features of some tokens."""

    values: "torch.Tensor"
    """(T, F)"""

    def of_tokens(self, chosen: Integers) -> "torch.Tensor":
        """(n, F) of some tokens."""
        import torch

        return self.values[torch.from_numpy(chosen).to(self.values.device, non_blocking=True)]

    def active(self) -> "torch.Tensor":
        """(T,) how many are active at each token."""
        import torch

        return torch.count_nonzero(self.values, 1)

    def summed(self, tokens: Integers) -> "SummedDense":
        """Sum them up.

        Args:
            tokens: (B,) tokens of each document, summing to T.
        """
        whose = _whose(_runs(tokens), len(self.values), self.values.device)
        return SummedDense(tokens, self.values, whose @ self.values.float())


class SummedDense(NamedTuple):
    """Features of tokens, and their sums by document."""

    tokens: Integers
    """(B,) of each document."""
    features: "torch.Tensor"
    """(T, F), document by document."""
    sums: "torch.Tensor"
    """(B, F) float32."""

    def rows(self, layout: TokenLayout | None = None) -> Rows:
        """What each document uses.

        Args:
            layout: Of the same tokens; tells where in the target's documents each feature fires most.
        """
        import torch

        whose = _whose(_runs(self.tokens), len(self.features), self.sums.device)
        # Whole numbers this small are exact in float32.
        fired = (whose @ (self.features != 0).float()).long()
        entries = torch.nonzero(fired, as_tuple=True)
        tokens = torch.from_numpy(self.tokens).to(self.sums.device, non_blocking=True)
        means = self.sums[entries] / tokens[entries[0]]
        # A GPU is waited for at each copy: all whole numbers come over as one.
        rows, indices, counts = torch.stack([*entries, fired[entries]]).cpu().numpy()
        lengths = np.bincount(rows, minlength=len(self.tokens))
        return Rows(
            tokens=self.tokens,
            lengths=lengths,
            indices=indices,
            means=means.cpu().numpy(),
            counts=counts,
            peaks=np.full_like(indices, -1) if layout is None else self._peaks(entries[1], lengths, layout),
        )

    def _peaks(self, used: "torch.Tensor", lengths: Integers, layout: TokenLayout) -> Integers:
        """(nnz,) where the target's documents use each of their features most; the first of equal ones.

        Args:
            used: (nnz,) feature of each entry, document by document.
            lengths: (B,) entries of each document.
            layout: Of the tokens.
        """
        import torch

        of_target = layout.sides == 0
        slices, entries = _slices(self.features, self.tokens), _slices(used, lengths)
        starts = np.cumsum(self.tokens) - self.tokens
        strongest = [
            slices[at][:, entries[at]].argmax(0) + int(starts[at])
            for at in np.flatnonzero(of_target & (lengths > 0))
        ]
        peaks = np.full(len(used), -1)
        if strongest:
            peaks[np.repeat(of_target, lengths)] = layout.places[torch.cat(strongest).cpu().numpy()]
        return peaks

    def without(self, layout: TokenLayout) -> Without:
        """Means of each document outside each class, summed over the documents of a side.

        Only tokens of a class are read again: what is outside is the document's sum less theirs.
        """
        import torch

        shape = (layout.n_sides, layout.n_classes)
        exact = exact_device(self.sums.device)
        totals = torch.zeros(*shape, self.sums.shape[1], dtype=torch.float64, device=exact)
        documents = np.zeros(shape, dtype=np.int64)
        of_document = np.repeat(np.arange(len(layout.tokens)), layout.tokens)
        for nth in range(layout.n_classes):
            inside = np.flatnonzero((layout.classes >> nth) & 1)
            counts = np.bincount(of_document[inside], minlength=len(layout.tokens))
            told = np.flatnonzero((layout.sides >= 0) & (layout.tokens > counts))
            of_class = np.split(inside, np.cumsum(counts)[:-1])
            sides = layout.sides[told]
            np.add.at(documents[:, nth], sides, 1)
            if len(told):
                outside = (layout.tokens - counts)[told]
                totals[:, nth] += self._means(told, [of_class[at] for at in told], outside, sides, shape[0])
        return Without(totals.cpu().numpy(), documents)

    def _means(
        self, told: Integers, inside: Groups, outside: Integers, sides: Integers, n_sides: int
    ) -> "torch.Tensor":
        """(S, F) float64 means of documents outside a class, summed over those of a side.

        Args:
            told: (D,) which documents.
            inside: Of each, its tokens of the class.
            outside: (D,) of each, how many tokens are not.
            sides: (D,) of each, its side.
            n_sides: S.
        """
        import torch

        device = self.sums.device
        rows, counts = (torch.from_numpy(one).to(device, non_blocking=True) for one in (told, outside))
        of_class = _whose(inside, len(self.features), device) @ self.features.float()
        means = (self.sums[rows] - of_class).clamp_min(0) / counts[:, None]
        means = means.to(exact_device(device))
        of_sides = [np.flatnonzero(sides == side) for side in range(n_sides)]
        return _whose(of_sides, len(told), means.device).double() @ means.double()


def _runs(tokens: Integers) -> Groups:
    """The tokens of each document, which follow one another."""
    return np.split(np.arange(tokens.sum()), np.cumsum(tokens)[:-1])


def _slices(rows: "torch.Tensor", counts: Integers) -> "list[torch.Tensor]":
    """Each document's rows of all, not copied."""
    return [rows[end - count : end] for end, count in zip(np.cumsum(counts), counts, strict=True)]


def _whose(groups: Groups, count: int, device: "torch.device") -> "torch.Tensor":
    """(G, count) float32, 1 where one of ``count`` things is of the group, else 0."""
    import torch

    matrix = np.zeros((len(groups), count), dtype=np.float32)
    for row, group in zip(matrix, groups, strict=True):
        row[group] = 1
    return torch.from_numpy(matrix).to(device, non_blocking=True)
