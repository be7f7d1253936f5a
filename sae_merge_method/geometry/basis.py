"""Orthonormal bases of subspaces of the residual stream: of given directions, or drawn at random.

All in float64. A projection is always applied as two thin products with a basis (d x r); the
d x d matrix is never formed.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sae_merge_method.geometry.one_thread import one_blas_thread

Floats = npt.NDArray[np.floating]

PARALLEL = 4 * float(np.finfo(np.float32).eps)
"""A unit direction whose part outside the others' span is shorter than this adds no dimension.

Decoders are stored in float32 at best, so exact multiples of one another differ by its rounding.
"""


@dataclass(frozen=True, eq=False)
class Basis:
    """An orthonormal basis of a subspace, and how many directions it was made from."""

    columns: npt.NDArray[np.float64]
    """(d, r), orthonormal columns."""
    directions: int
    """Directions given; more than :attr:`rank` where some depend on the others."""

    @property
    def d(self) -> int:
        """Width of the residual stream."""
        return int(self.columns.shape[0])

    @property
    def rank(self) -> int:
        """Dimensions of the subspace."""
        return int(self.columns.shape[1])


def orthonormal_basis(directions: Floats) -> Basis:
    """Basis of the span of some directions, by QR with column pivoting.

    Pivoting orders the diagonal of R by what each direction adds to those before it, so the
    numerical rank can be read off it (Golub and Van Loan 2013, section 5.4.2). Lengths do not
    matter: each direction is scaled to one first, and zero directions add nothing.

    Args:
        directions: (k, d), one a row.
    """
    # SciPy's, because NumPy's QR does not pivot.
    from scipy.linalg import qr

    rows = np.asarray(directions, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1)
    unit = rows[lengths > 0] / lengths[lengths > 0, None]
    if not len(unit):
        return Basis(np.zeros((rows.shape[1], 0)), len(rows))
    with one_blas_thread():
        q, r, _ = qr(unit.T, mode="economic", pivoting=True)
    rank = int((np.abs(np.diag(r)) > PARALLEL).sum())
    return Basis(np.ascontiguousarray(q[:, :rank]), len(rows))


def random_basis(d: int, rank: int, seed: tuple[int, ...]) -> Basis:
    """Basis of a uniformly distributed random subspace: the same one for the same seed.

    The Q of a Gaussian matrix spans a Haar-distributed subspace (Mezzadri 2007, arXiv
    math-ph/0609050; the signs its correction fixes do not change the span).

    Args:
        d: Width of the residual stream.
        rank: Dimensions, 0 to d.
        seed: Words of the seed, for example (seed, layer).
    """
    gaussian = np.random.default_rng(seed).standard_normal((d, rank))
    with one_blas_thread():
        return Basis(np.linalg.qr(gaussian).Q, rank)
