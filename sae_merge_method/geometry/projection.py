"""Keeping the part of a tensor that lies in a subspace of the residual stream.

Pure array arithmetic in the tensor's own precision, and the same bits for the same tensor whoever
asks, as products are taken in blocks of one size (and BLAS is held to one thread by the caller,
with ``one_thread``). Which subspace, and which axis of the tensor is the stream's, are the
caller's to know too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

_FIBRES = 1024
"""Fibres along the residual axis that are multiplied at once; BLAS sums differ with it."""


@dataclass(frozen=True)
class Shares:
    """What becomes of a task vector's two parts: ``inside * P(tau) + outside * (tau - P(tau))``."""

    inside: float
    outside: float


def project(tau: Floats, columns: Floats, axis: int) -> Floats:
    """``P(tau)``: the part of ``tau`` whose fibres along ``axis`` lie in a subspace.

    For a d x n matrix with axis 0 this is ``U (U^T tau)``, for n x d with axis 1 ``(tau U) U^T``.

    Args:
        tau: Any shape; ``tau.shape[axis]`` is d. It stays as it is.
        columns: U, (d, r), orthonormal, of tau's dtype.
        axis: The residual axis.
    """
    return weigh(tau.copy(), columns, axis, Shares(1, 0))


def weigh(tau: Floats, columns: Floats, axis: int, shares: Shares) -> Floats:
    """``inside * P(tau) + outside * (tau - P(tau))``, in tau's own memory.

    Equal shares need no projection, and both 1 leave tau bit for bit; so does a subspace that is
    the whole space, with inside 1.

    Args:
        tau: As in :func:`project`, contiguous; overwritten by the result.
        columns: As in :func:`project`.
        axis: As in :func:`project`.
        shares: How much of each part is kept.
    """
    if shares.inside == shares.outside or columns.shape[0] == columns.shape[1]:
        return scale(tau, shares.inside)
    for fibres in _blocks(tau, axis):
        inside = (fibres @ columns) @ columns.T
        if shares.outside == 0:
            fibres[...] = scale(inside, shares.inside)
        else:
            scale(fibres, shares.outside)
            fibres += scale(inside, shares.inside - shares.outside)
    return tau


def scale(tensor: Floats, factor: float) -> Floats:
    """``factor * tensor`` in the tensor's own memory; untouched for 1."""
    if factor != 1:
        tensor *= factor
    return tensor


def _blocks(tensor: Floats, axis: int) -> Iterator[Floats]:
    """Views (at most _FIBRES, d) that together are the tensor, fibres along ``axis`` as rows."""
    before, after = prod(tensor.shape[:axis]), prod(tensor.shape[axis + 1 :])
    parts = tensor.reshape(before, tensor.shape[axis], after)
    matrices = (parts[:, :, 0],) if after == 1 else (part.T for part in parts)
    for fibres in matrices:
        for first in range(0, len(fibres), _FIBRES):
            yield fibres[first : first + _FIBRES]
