"""How much each document used each feature of one layer: compressed sparse rows, in the stored precision."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

_HALF_MAX_EXPONENT = 15
_WIDE: Final = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64)
"""Every float16 there is, by its bits: soon looked up, where NumPy widens one number at a time."""

PARTS: Final = ("tokens", "indptr", "indices", "values", "counts")
"""The arrays of a :class:`LayerUsage`, by name."""

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]


class LayerUsage(NamedTuple):
    """One layer's usage, N documents x F features, in compressed sparse rows.

    Values are kept as float16 times a power of two: 11 significant bits down to 2e-9 of the
    layer's largest value, in half the space. Scores are computed from what is stored here, so
    a score can always be recomputed exactly.
    """

    d_sae: int
    """F, the number of the SAE's features."""
    exponent: int
    """Stored value times 2**exponent is the mean activation."""
    tokens: Integers
    """(N,) counted tokens of each document in this layer; 0 where all of them were left out."""
    indptr: npt.NDArray[np.int64]
    """(N + 1,) where each document's entries start."""
    indices: Integers
    """(nnz,) feature of each entry, ascending within a document."""
    values: npt.NDArray[np.float16]
    """(nnz,) scaled mean activation over the document's counted tokens."""
    counts: Integers
    """(nnz,) counted tokens of the document on which the feature fired."""

    def none(self) -> "LayerUsage":
        """The same documents and features with no token counted."""
        nothing = np.zeros(0, dtype=np.int64)
        empty = np.zeros_like(self.tokens)
        return pack_layer(self.d_sae, empty, empty, nothing, nothing.astype(np.float64), nothing)

    def first(self, count: int) -> "LayerUsage":
        """The first documents alone."""
        stop = self.indptr[count]
        return self._replace(
            tokens=self.tokens[:count],
            indptr=self.indptr[: count + 1],
            indices=self.indices[:stop],
            values=self.values[:stop],
            counts=self.counts[:stop],
        )

    def mean_over(self, documents: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """(F,) mean activation, mean over some of the documents."""
        entries = documents[self.rows()]
        features = self.indices[entries].astype(np.int64)
        sums = np.bincount(features, weights=self.means()[entries], minlength=self.d_sae)
        return np.asarray(sums / max(1, int(documents.sum())))

    def plus(self, other: "LayerUsage") -> "LayerUsage":
        """What the same documents use on the tokens of both parts together, in the stored precision.

        Args:
            other: Of the same documents and features, counted over other tokens.
        """
        parts = (self, other)
        keys = [part.rows() * part.d_sae + part.indices.astype(np.int64) for part in parts]
        sums = [part.means() * part.tokens[part.rows()] for part in parts]
        both, inverse = np.unique(np.concatenate(keys), return_inverse=True)
        rows, indices = np.divmod(both, self.d_sae)
        tokens = self.tokens.astype(np.int64) + other.tokens
        return pack_layer(
            self.d_sae,
            tokens,
            np.bincount(rows, minlength=len(tokens)),
            indices,
            np.bincount(inverse, weights=np.concatenate(sums), minlength=len(both)) / tokens[rows],
            np.bincount(
                inverse, weights=np.concatenate([part.counts for part in parts]), minlength=len(both)
            ).astype(np.int64),
        )

    def rows(self) -> npt.NDArray[np.int64]:
        """(nnz,) document of each entry."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    def means(self) -> npt.NDArray[np.float64]:
        """(nnz,) mean activation of each entry."""
        means: npt.NDArray[np.float64] = _WIDE[self.values.view(np.uint16)]
        means *= 2.0**self.exponent  # a power of two changes no digit
        return means


def pack_layer(
    d_sae: int,
    tokens: Integers,
    lengths: Integers,
    indices: Integers,
    means: Floats,
    counts: Integers,
) -> LayerUsage:
    """Put one layer's entries into the stored precision.

    Args:
        d_sae: Number of features.
        tokens: (N,) counted tokens of each document.
        lengths: (N,) entries of each document.
        indices: (nnz,) features, ascending within a document.
        means: (nnz,) mean activations, at least 0.
        counts: (nnz,) tokens fired on.
    """
    largest = float(means.max()) if means.size else 0.0
    exponent = int(np.frexp(largest)[1]) - _HALF_MAX_EXPONENT if largest > 0 else 0
    most = int(counts.max()) if counts.size else 0
    return LayerUsage(
        d_sae=d_sae,
        exponent=exponent,
        tokens=tokens.astype(np.uint32),
        indptr=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        indices=indices.astype(np.uint16 if d_sae <= 1 << 16 else np.uint32),
        values=np.ldexp(means.astype(np.float64), -exponent).astype(np.float16),
        counts=counts.astype(np.uint16 if most < 1 << 16 else np.uint32),
    )
