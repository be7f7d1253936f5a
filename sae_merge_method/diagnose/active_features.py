"""Features of tokens as a processor holds them: the active ones alone, and their sums by document.

Of 16k features some 50 are active at a token. Finding them is one pass over all; whatever is asked of them
afterwards costs a hundredth of it. Sums are taken in float64 and rounded once. Where many are active, as with
an SAE of another model, all this costs more than it saves: that is told at the first ones.
"""

from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.token_layout import Rows, TokenLayout, Without
from sae_merge_method.saes.encoders import Encoder, JumpReluEncoder, encode

if TYPE_CHECKING:
    import torch

    Block = tuple[slice, torch.Tensor]
    """Which features, and (T, those) what each is where it passes its floor."""

_ROWS = 256
"""Tokens that one thread searches at once."""
_FEW = 1 << 16
"""So many cost nothing, whatever their share."""
_MOST = 0.04
"""Share of all features that may be active: at more, sums over all of them are faster and take less."""

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class ManyActiveError(Exception):
    """So many features are active that they are better summed with the others."""


class ActiveFeatures(NamedTuple):
    """The features of some tokens that are active, in any order."""

    shape: tuple[int, int]
    """T, F."""
    tokens: Integers
    """(nnz,)"""
    features: Integers
    """(nnz,)"""
    values: Floats
    """(nnz,) above zero, or what is no number."""
    dtype: "torch.dtype"
    """In which they were encoded."""

    @classmethod
    def encoded(cls, encoder: Encoder, activations: "torch.Tensor") -> "ActiveFeatures":
        """Of activations (T, d_in)."""
        if isinstance(encoder, JumpReluEncoder):
            return cls.above(encoder.floor, len(activations), encoder.blocks(activations))
        return cls.of(encode(encoder, activations))

    @classmethod
    def of(cls, features: "torch.Tensor") -> "ActiveFeatures":
        """Of features (T, F) that are encoded already."""
        n_tokens, n_features = features.shape
        whole = slice(0, n_features), features.detach()
        return cls.above(features.new_zeros(n_features), n_tokens, [whole])

    @classmethod
    def above(cls, floor: "torch.Tensor", n_tokens: int, blocks: "Iterable[Block]") -> "ActiveFeatures":
        """Those that pass.

        Args:
            floor: (F,) what each must be above, zero or more.
            n_tokens: T.
            blocks: Of all features.

        Raises:
            ManyActiveError: More are active than it is worth.
        """
        import torch

        threads = torch.get_num_threads()
        with ThreadPoolExecutor(threads) as pool:
            search = pool if threads > 1 and n_tokens > _ROWS else None
            found, count = [], 0
            for which, inputs in blocks:
                found.append(_search(inputs, floor[which], which.start, search))
                count += len(found[-1][0])
                if count > _MOST * n_tokens * min(which.stop, len(floor)) and count > _FEW:
                    raise ManyActiveError
        tokens, features, values = (np.concatenate(column) for column in zip(*found, strict=True))
        return cls((n_tokens, len(floor)), tokens, features, values, floor.dtype)

    def of_tokens(self, chosen: Integers) -> "torch.Tensor":
        """(n, F) all features of some tokens."""
        import torch

        row_of = np.full(self.shape[0], -1)
        row_of[chosen] = np.arange(len(chosen))
        rows = row_of[self.tokens]
        kept = rows >= 0
        dense = np.zeros((len(chosen), self.shape[1]), dtype=np.float32)
        dense[rows[kept], self.features[kept]] = self.values[kept]
        return torch.from_numpy(dense).to(self.dtype)

    def active(self) -> "torch.Tensor":
        """(T,) how many are active at each token."""
        import torch

        return torch.from_numpy(np.bincount(self.tokens, minlength=self.shape[0]))

    def summed(self, tokens: Integers) -> "SummedActive":
        """Put in order by document.

        Args:
            tokens: (B,) tokens of each document, summing to T.
        """
        n_tokens, n_features = self.shape
        document = np.repeat(np.arange(len(tokens)), tokens)[self.tokens]
        entry = document * n_features + self.features
        # A token stands once in each entry, so that no two keys are equal.
        order = np.argsort(entry * max(1, n_tokens) + self.tokens)
        return SummedActive(
            documents=tokens,
            n_features=n_features,
            starts=np.flatnonzero(np.diff(entry[order], prepend=-1)),
            document=document[order],
            features=self.features[order],
            tokens=self.tokens[order],
            values=self.values[order],
        )


class SummedActive(NamedTuple):
    """Active features by document, then by feature, then by token."""

    documents: Integers
    """(B,) tokens of each document."""
    n_features: int
    """F."""
    starts: Integers
    """(n,) where each document's use of a feature begins."""
    document: Integers
    """(nnz,) whose each is."""
    features: Integers
    """(nnz,)"""
    tokens: Integers
    """(nnz,)"""
    values: Floats
    """(nnz,)"""

    def rows(self, layout: TokenLayout | None = None) -> Rows:
        """What each document uses.

        Args:
            layout: Of the same tokens; tells where in the target's documents each feature fires most.
        """
        document = self.document[self.starts]
        counts = np.diff(self.starts, append=len(self.document))
        sums = np.add.reduceat(self.values.astype(np.float64), self.starts)
        return Rows(
            tokens=self.documents,
            lengths=np.bincount(document, minlength=len(self.documents)),
            indices=self.features[self.starts],
            means=(sums / self.documents[document]).astype(np.float32),
            counts=counts,
            peaks=np.full_like(counts, -1) if layout is None else self._peaks(document, counts, layout),
        )

    def _peaks(self, document: Integers, counts: Integers, layout: TokenLayout) -> Integers:
        """(n,) where the target's documents use each of their features most; the first of equal ones."""
        highest = np.maximum.reduceat(self.values, self.starts)
        # Not "==": what is no number equals nothing, and is told of afterwards.
        reached = np.flatnonzero(~(self.values < np.repeat(highest, counts)))
        first = reached[np.searchsorted(reached, self.starts)]
        places = layout.places[self.tokens[first]]
        return np.where(layout.sides[document] == 0, places, -1)

    def without(self, layout: TokenLayout) -> Without:
        """Means of each document outside each class, summed over the documents of a side."""
        shape = layout.n_sides, layout.n_classes, self.n_features
        totals, values, sides = np.zeros(shape), self.values.astype(np.float64), layout.sides[self.document]
        for nth, (outside, tokens) in enumerate(zip(layout.outside, layout.tokens_outside(), strict=True)):
            kept = (sides >= 0) & outside[self.tokens]
            places = sides[kept] * self.n_features + self.features[kept]
            means = values[kept] / tokens[self.document[kept]]
            of_class = np.bincount(places, means, minlength=shape[0] * shape[2])
            totals[:, nth] = of_class.reshape(shape[0], shape[2])
        return Without(totals, layout.documents_outside())


def _search(
    inputs: "torch.Tensor", floor: "torch.Tensor", first: int, pool: Executor | None
) -> tuple[Integers, Integers, Floats]:
    """Tokens, features and values of those above the floor, or that are no number.

    numpy compares floats three times as fast as torch and finds what is true twice as fast, on one thread: so
    each thread has tokens of its own.

    Args:
        inputs: (T, n)
        floor: (n,)
        first: Which feature the first is.
        pool: Threads, where one is not enough.
    """
    import torch

    if inputs.dtype == torch.float32:
        numbers, limit = inputs.numpy(), floor.numpy()
    else:
        # numpy knows no bfloat16.
        numbers, limit = (inputs <= floor).numpy(), None

    def above(start: int) -> Integers:
        rows = numbers[start : start + _ROWS]
        below = rows if limit is None else rows <= limit
        return np.flatnonzero(~below) + start * inputs.shape[1]

    starts = range(0, max(1, len(inputs)), _ROWS)
    places = np.concatenate(list(pool.map(above, starts) if pool else map(above, starts)))
    tokens, features = np.divmod(places, inputs.shape[1])
    values = inputs.reshape(-1)[torch.from_numpy(places)].float().numpy()
    return tokens, features + first, values
