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
