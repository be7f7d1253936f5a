"""Which tokens of a batch are whose, and what is kept of their sums by document."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Without(NamedTuple):
    """What documents use when the tokens of a class are left out, summed over the documents of a side.
    float64."""

    sums: npt.NDArray[np.float64]
    """(S, K, F) sum over side s's documents of the mean activation over counted tokens outside class k."""
    documents: npt.NDArray[np.int64]
    """(S, K) documents that have a counted token outside the class."""

    def plus(self, other: "Without") -> "Without":
        """The sums over both sets of documents."""
        return Without(self.sums + other.sums, self.documents + other.documents)

    def means(self) -> npt.NDArray[np.float64]:
        """(S, K, F) means over documents; 0 where every token of a side is of the class."""
        means: npt.NDArray[np.float64] = self.sums / np.maximum(self.documents, 1)[..., None]
        return means


class TokenLayout(NamedTuple):
    """Which tokens of a batch are whose."""

    tokens: npt.NDArray[np.int64]
    """(B,) tokens of each document, summing to T."""
    ids: npt.NDArray[np.int64]
    """(T,) which tokens they are."""
    places: npt.NDArray[np.int64]
    """(T,) the place of each in its document."""
    sampled: npt.NDArray[np.bool_]
    """(T,) tokens whose reconstruction enters the explained variance."""
    classes: npt.NDArray[np.uint32]
    """(T,) classes of each token, a bit each."""
    n_classes: int
    """K."""
    sides: npt.NDArray[np.int64]
    """(B,) the side of each document; -1 for a twin, of which nothing is left out."""
    n_sides: int
    """S."""

    @property
    def document(self) -> npt.NDArray[np.int64]:
        """(T,) whose each token is."""
        return np.repeat(np.arange(len(self.tokens)), self.tokens)

    @property
    def outside(self) -> npt.NDArray[np.bool_]:
        """(K, T) which tokens are not of each class."""
        classes = np.arange(self.n_classes, dtype=np.uint32)[:, None]
        outside: npt.NDArray[np.bool_] = (self.classes >> classes) & np.uint32(1) == 0
        return outside

    def tokens_outside(self) -> npt.NDArray[np.int64]:
        """(K, B) tokens of each document outside each class."""
        document, n = self.document, len(self.tokens)
        counts = [np.bincount(document[outside], minlength=n) for outside in self.outside]
        return np.array(counts, dtype=np.int64).reshape(self.n_classes, n)

    def documents_outside(self) -> npt.NDArray[np.int64]:
        """(S, K) documents of each side that have a token outside each class."""
        documents = np.zeros((self.n_sides, self.n_classes), dtype=np.int64)
        told = self.sides >= 0
        np.add.at(documents, self.sides[told], self.tokens_outside().T[told] > 0)
        return documents

    def only(self, kept: npt.NDArray[np.bool_]) -> "TokenLayout":
        """Of some tokens alone; a document may be left with none."""
        return self._replace(
            tokens=np.bincount(self.document[kept], minlength=len(self.tokens)),
            ids=self.ids[kept],
            places=self.places[kept],
            sampled=self.sampled[kept],
            classes=self.classes[kept],
        )


class Rows(NamedTuple):
    """What some documents use of one layer's features on some of their tokens, in sparse form."""

    tokens: npt.NDArray[np.int64]
    """(B,) those tokens of each document."""
    lengths: npt.NDArray[np.int64]
    """(B,) features used by each document."""
    indices: npt.NDArray[np.int64]
    """(nnz,) feature of each entry, ascending within a document."""
    means: npt.NDArray[np.float32]
    """(nnz,) mean activation over the document's tokens."""
    counts: npt.NDArray[np.int64]
    """(nnz,) tokens on which the feature fired."""
    peaks: npt.NDArray[np.int64]
    """(nnz,) the place in the document of the token on which it fired most; -1 where nobody asked."""

    @classmethod
    def empty(cls, documents: int) -> "Rows":
        """Of documents that use nothing."""
        none = np.zeros(0, dtype=np.int64)
        tokens = np.zeros(documents, dtype=np.int64)
        return cls(tokens, tokens, none, none.astype(np.float32), none, none)
