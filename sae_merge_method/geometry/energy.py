"""How much of a task vector's energy lies in a subspace.

Energy is the squared Frobenius norm. NumPy, in the precision of what is given; sums in float64.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

_PIECE = 1 << 14


def along_residual(tensor: Floats, axis: int) -> Floats:
    """The tensor as rows of width d, one for each fibre along its residual axis; a view where it can be."""
    return np.moveaxis(tensor, axis, -1).reshape(-1, tensor.shape[axis])


def gram(rows: Floats) -> Floats:
    """``rows^T rows``, (d, d): all that energy and principal directions depend on."""
    # NumPy sees the same matrix on both sides and computes one triangle only.
    product: Floats = rows.T @ rows
    return product


def energy(tensor: Floats) -> float:
    """Squared Frobenius norm."""
    flat = tensor.reshape(-1)
    # In pieces: within one the dot product may sum in float32, across them float64 does.
    pieces = (flat[first : first + _PIECE] for first in range(0, flat.size, _PIECE))
    return float(sum(float(np.dot(piece, piece)) for piece in pieces))


def energies_in(rows: Floats, products: Floats | None, columns: Sequence[Floats]) -> npt.NDArray[np.float64]:
    """Energy of ``rows`` inside each of several subspaces.

    Args:
        rows: (n, d).
        products: Their :func:`gram`, where it is at hand: then n does not matter any more.
        columns: Orthonormal bases (d, r) of rows' dtype; ranks may differ.

    Returns:
        (len(columns),), ``||rows U||^2`` for each U.
    """
    together = np.concatenate(columns, axis=1)
    if products is None:
        by_column = np.sum(np.square(rows @ together), axis=0, dtype=np.float64)
    else:
        by_column = np.sum(together * (products @ together), axis=0, dtype=np.float64)
    ends = np.cumsum([basis.shape[1] for basis in columns])
    return np.array([part.sum() for part in np.split(by_column, ends[:-1])])


def folded(rows: Floats, gain: Floats) -> Floats:
    """Rows as what they read makes them, times a gain along the residual axis, at their own energy.

    A matrix that reads ``x * gain`` acts on x as ``rows * gain``: that is what a subspace of x keeps a share
    of. The energy stays that of the rows as stored, so that kinds of tensors weigh as they did.

    Args:
        rows: (n, d).
        gain: (d,).
    """
    read: Floats = rows * gain.astype(rows.dtype)
    after = energy(read)
    return read * rows.dtype.type((energy(rows) / after) ** 0.5) if after else read


def random_variance(products: Floats, rank: int) -> float:
    """Variance of the energy that a uniformly random subspace of a rank keeps; its mean is ``r/d`` of it.

    With M the (d, d) gram and P a random projection, ``tr(M P)`` has the variance ``2 r (d - r) (tr(M^2) -
    tr(M)^2 / d) / (d (d - 1) (d + 2))`` (second moments of Haar-distributed projections; Collins & Sniady
    2006). Energy in few directions spreads it: for one alone the share is Beta(r/2, (d - r)/2).

    Args:
        products: (d, d), see :func:`gram`.
        rank: Dimensions of the subspace, 0 to d.
    """
    d = len(products)
    if d < 2:
        return 0.0
    squares = float(np.sum(np.square(products), dtype=np.float64))
    trace = float(np.trace(products, dtype=np.float64))
    return 2 * rank * (d - rank) * max(0.0, squares - trace**2 / d) / (d * (d - 1) * (d + 2))
